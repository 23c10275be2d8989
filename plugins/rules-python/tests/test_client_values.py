"""What the client sent is known as such: by what the framework called, and by the recorded request."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest

from homeostasis.config import Config
from homeostasis.models import Effect, Event, Frame, Raised, Request, Span, Value
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing import ProjectFactory
from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.dispatch import dispatched
from homeostasis_rules_python.code.edit import expression
from homeostasis_rules_python.code.recorded import named_file, refused_text, sent_by_client

FLASK = "from functools import wraps\n\nfrom flask import Flask, abort, request\n\napp = Flask(__name__)\n\n\n"
REGISTERED = (
    FLASK
    + "def logged(view):\n    @wraps(view)\n    def inner(*args, **kwargs):\n        return view(*args, **kwargs)\n"
    "    return inner\n\n\nclass Pages:\n    def page(self, number):\n        return 'ab'[int(number)]\n\n\n"
    "app.add_url_rule('/x/<number>', 'page', logged(Pages().page))\n"
)
ASGI = (
    "from starlette.applications import Starlette\nfrom starlette.middleware import Middleware\n"
    "from starlette.responses import PlainTextResponse\nfrom starlette.routing import Mount, Route\n\n\n"
    "class Timing:\n    def __init__(self, app):\n        self.app = app\n\n"
    "    async def __call__(self, scope, receive, send):\n        await self.app(scope, receive, send)\n\n\n"
    "class Admin:\n    coerce = int\n\n    async def show(self, request):\n"
    "        return PlainTextResponse('ab'[self.coerce(request.path_params['number'])])\n\n\n"
    "app = Starlette(\n    routes=[Mount('/m', routes=[Route('/x/{number}', Admin().show)])],\n"
    "    middleware=[Middleware(Timing)],\n)\n"
)


def asgi_call(path: str, *, answer: bool) -> str:
    """Code that sends a request to the Starlette app, and prints what came back if `answer`."""
    return (
        "import asyncio\nimport httpx\nfrom app import app\nasync def send():\n"
        f"    transport = httpx.ASGITransport(app=app, raise_app_exceptions={not answer})\n"
        "    async with httpx.AsyncClient(transport=transport, base_url='http://localhost') as client:\n"
        f"        return await client.get({path!r})\n"
        "sent = asyncio.run(send())\n" + ("print(sent.status_code, sent.text)\n" if answer else "")
    )


def test_the_view_behind_a_decorator_refuses(heal: Any, flask_call: Any) -> None:
    """No route stands at the method: the traceback tells that Flask called it, past the app's own decorator."""
    request = Request(path="/x/q", route="/x/<number>", framework="flask")
    done = heal({"app.py": REGISTERED}, flask_call("GET", "/x/q"), request)
    assert done.best.rule_id == "value-error-client-text"
    assert done.after(flask_call("GET", "/x/q", answer=True)).startswith("400")
    assert done.after(flask_call("GET", "/x/1", answer=True)) == "200 b"


def test_the_endpoint_of_a_mounted_app_refuses(heal: Any) -> None:
    """The middleware of the app is no endpoint; a converter that an attribute holds is known by its message."""
    pytest.importorskip("starlette", reason="starlette is not installed: pip install starlette httpx")
    request = Request(path="/m/x/q", route="/m/x/{number}", framework="starlette", interface="asgi")
    done = heal({"app.py": ASGI}, asgi_call("/m/x/q", answer=False), request)
    assert done.best.rule_id == "value-error-client-text"
    assert done.after(asgi_call("/m/x/q", answer=True)).startswith("400")
    assert done.after(asgi_call("/m/x/1", answer=True)) == "200 b"


def test_the_exception_of_the_app_that_carries_its_status_is_raised(heal: Any, flask_call: Any) -> None:
    """The error handler answers with `error.code`, which the subclass for bad requests declares."""
    code = (
        FLASK.replace("abort, request", "jsonify, request")
        + "class Failure(Exception):\n    code = 500\n\n\nclass Unusable(Failure):\n    code = 400\n\n\n"
        "@app.errorhandler(Failure)\ndef tell(error):\n    return jsonify(problem=str(error)), error.code\n\n\n"
        "@app.get('/x')\ndef x():\n    return str(int(request.args['n']))\n"
    )
    done = heal({"app.py": code}, flask_call("GET", "/x?n=q"))
    assert done.after(flask_call("GET", "/x?n=q", answer=True)) == '400 {"problem":"n must be a whole number"}'


def test_a_file_that_the_client_names_is_not_found(heal: Any, flask_call: Any) -> None:
    """What is not there is answered with 404, what is there as before."""
    code = (
        FLASK + "@app.get('/x/<name>')\ndef x(name):\n    with open(f'notes/{name}') as source:\n"
        "        return source.read()\n"
    )
    done = heal({"app.py": code, "notes/a.txt": "alpha"}, flask_call("GET", "/x/b.txt"))
    assert done.best.rule_id == "client-file-not-found"
    assert done.best.effect is Effect.REFUSE
    assert done.after(flask_call("GET", "/x/b.txt", answer=True)).startswith("404")
    assert done.after(flask_call("GET", "/x/a.txt", answer=True)) == "200 alpha"


def test_a_key_function_of_sorted_belongs_to_its_function(heal: Any, flask_call: Any) -> None:
    """The key that the lambda looks up is a parameter of the function around, which the client filled."""
    store = "ROWS = [{'id': 2}, {'id': 1}]\n\n\ndef ordered(by):\n    return sorted(ROWS, key=lambda row: row[by])\n"
    code = (
        "import store\n" + FLASK + "@app.get('/x')\ndef x():\n    return {'rows': store.ordered(request.args['by'])}\n"
    )
    done = heal({"app.py": code, "store.py": store}, flask_call("GET", "/x?by=age"))
    assert done.best.rule_id == "key-error-client-lookup"
    assert done.after(flask_call("GET", "/x?by=age", answer=True)).startswith("400")
    assert done.after(flask_call("GET", "/x?by=id", answer=True)) == '200 {"rows":[{"id":1},{"id":2}]}'


def case_of(factory: ProjectFactory, message: str, request: Request, local: Dict[str, Value]) -> Case:
    """A case of one function with these locals."""
    root = factory({"app.py": "def f():\n    return int(text)\n"}).root
    frame = Frame(path=str(root / "app.py"), function="f", span=Span(line=2), locals=local)
    raised = Raised(type="ValueError", message=message, frames=(frame,))
    event = Event(id="e", timestamp=0.0, fingerprint="0" * 16, exceptions=(raised,), request=request)
    return Case(event, 0, SourceTree(Project(root=root, config=Config())))


FORM = Request(
    method="POST", headers=(("Content-Type", "application/x-www-form-urlencoded"),), body=b"amount=x&note=long+text"
)
JSON = Request(method="POST", body=b'{"amount": "x", "rows": [{"id": 7}]}', path="/shops/north")
MESSAGE = "invalid literal for int() with base 10: 'x'"


@pytest.mark.parametrize(
    ("request_", "code", "message", "place"),
    [
        (Request(query="amount=x"), "values['amount']", MESSAGE, "query"),
        (Request(query="amount=x"), "values.get('amount', 1)", MESSAGE, "query"),
        (Request(query="amount=x"), "amount", MESSAGE, "query"),
        (Request(query="amount=4"), "values['amount']", MESSAGE, None),
        (Request(query="other=x"), "values['amount']", MESSAGE, "query"),
        (Request(query="other=4"), "part", "invalid literal for int() with base 10: '4'", None),
        (Request(query="amount="), "values['amount']", "invalid literal for int() with base 10: ''", "query"),
        (Request(query="other="), "values['amount']", "invalid literal for int() with base 10: ''", None),
        (FORM, "values['amount']", "could not convert string to float: 'x'", "form"),
        (JSON, "values['amount']", MESSAGE, "body"),
        (JSON, "part", "Invalid isoformat string: 'north'", "path"),
        (JSON, "part", "time data 'north' does not match format '%Y'", "path"),
        (JSON, "part", "no such thing as 'north'", None),
        (JSON, "part", "invalid literal for int() with base 10: 'x", None),
    ],
)  # fmt: skip
def test_what_is_refused_is_looked_for_in_the_request(
    project_factory: ProjectFactory, request_: Request, code: str, message: str, place: str | None
) -> None:
    """A short text counts where it was refused as no number, or where the field is called so; a number does not."""
    case = case_of(project_factory, message, request_, {})
    assert sent_by_client(case, case.sites[0], expression(code), refused_text(case)) == place


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (Value(type="ImmutableMultiDict", module="werkzeug.datastructures"), "query"),
        (Value(type="FormData", module="starlette.datastructures"), "form"),
        (Value(type="FormData", module="shop.forms"), None),
        (Value(type="Box", module="shop", keys=("'amount'", "'note'")), "form"),
        (Value(type="Box", module="shop", keys=("'amount'",)), None),
    ],
)
def test_a_container_of_the_framework_or_with_the_keys_of_the_request(
    project_factory: ProjectFactory, value: Value, place: str | None
) -> None:
    """What is read from it is what the client sent."""
    case = case_of(project_factory, "x", FORM, {"values": value})
    assert sent_by_client(case, case.sites[0], expression("values['amount']")) == place


@pytest.mark.parametrize(
    ("request_", "path", "place"),
    [
        (Request(path="/files/a/b.txt"), "/srv/share/a/b.txt", "path"),
        (Request(path="/files", query="name=a/b.txt"), "/srv/share/a/b.txt", "query"),
        (Request(path="/files", query="name=c.txt"), "/srv/share/a/b.txt", None),
        (Request(path="/files/a"), "/srv/share/a", None),
    ],
)
def test_a_file_is_named_by_its_last_parts(
    project_factory: ProjectFactory, request_: Request, path: str, place: str | None
) -> None:
    """The folder that the app puts before the name is no part of the request; a letter alone says nothing."""
    assert named_file(case_of(project_factory, "x", request_, {}), path) == place


def frames(*places: Tuple[str, str]) -> Tuple[Frame, ...]:
    """Frames by path and function."""
    return tuple(Frame(path=path, function=function, span=Span(line=2)) for path, function in places)


@pytest.mark.parametrize(
    ("below", "found"),
    [
        ((("lib/flask/app.py", "dispatch_request"),), True),
        ((("lib\\flask\\app.py", "dispatch_request"),), True),
        ((("lib/fastapi/dependencies/utils.py", "solve_dependencies"), ("lib/anyio/x.py", "run")), True),
        ((("lib/flask/app.py", "wsgi_app"),), False),
        ((("lib/starlette/routing.py", "app"), ("lib/starlette/routing.py", "handle")), False),
        ((("lib/shop/app.py", "dispatch_request"),), False),
    ],
)  # fmt: skip
def test_only_what_calls_handlers_dispatches(
    project_factory: ProjectFactory, below: Tuple[Tuple[str, str], ...], found: bool
) -> None:
    """The last frame of the framework before the app's tells; a mounted app is called by another function."""
    case = case_of(project_factory, "x", Request(), {})
    raised = case.raised.model_copy(update={"frames": (*frames(*below), *case.raised.frames)})
    event = case.event.model_copy(update={"exceptions": (raised,)})
    assert (dispatched(Case(event, 0, case.source)) is not None) == found
