"""`python -m homeostasis.monitoring.replay`: the question on standard input, the answer on standard output."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def ask(tmp_path):
    """Writes an app, asks about it, and returns the answer."""

    def ask(code, question):
        (tmp_path / "shop.py").write_text(textwrap.dedent(code), encoding="utf-8")
        asked = {"service": "shop", "project_root": str(tmp_path), **question}
        command = [sys.executable, "-m", "homeostasis.monitoring.replay"]
        done = subprocess.run(
            command, input=json.dumps(asked), cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
        )
        return json.loads(done.stdout)

    return ask


def body(answer):
    return base64.b64decode(answer["body"]).decode()


WSGI = """
    import sys

    def app(environ, start_response):
        print("noise")
        if environ["PATH_INFO"] == "/crash":
            return [{}["key"]]
        start_response("200 OK", [("X-Seen", environ.get("HTTP_X_TOKEN", ""))])
        text = environ["REQUEST_METHOD"] + environ["QUERY_STRING"] + environ["wsgi.input"].read().decode()
        return [text.encode()]

    def create_app(prefix="", *, debug=False):
        return app

    class Holder:
        inner = staticmethod(app)
    holder = Holder()
    """


def test_a_wsgi_app_is_called_as_a_server_would(ask):
    """Method, query, headers and body arrive; what the app prints does not get into the answer."""
    request = {
        "method": "POST",
        "path": "/a",
        "query": "b=c",
        "headers": [["X-Token", "[redacted]"], ["Content-Length", "999"]],
        "body": base64.urlsafe_b64encode("d\xff?>".encode()).decode(),
    }
    answer = ask(WSGI, {"app": "shop:app", "requests": [request, {"path": "/crash"}]})
    first, second = answer["requests"]
    assert (first["status"], body(first), first["events"]) == (200, "POSTb=cd\xff?>", [])
    assert first["headers"] == [["X-Seen", "[redacted]"]]
    assert (second["status"], second["error"]) == (500, "KeyError: 'key'")
    assert [event["exceptions"][0]["type"] for event in second["events"]] == ["KeyError"]
    assert answer["import_error"] is None


@pytest.mark.parametrize(
    "expression", ["shop:app", "shop", "shop:create_app", "shop:create_app('x', debug=True)", "shop:holder.inner"]
)
def test_the_app_is_named_like_for_a_server(ask, expression):
    """A name, an attribute, a factory, or a call with literal arguments."""
    answer = ask(WSGI, {"app": expression, "requests": [{}]})
    assert answer["requests"][0]["status"] == 200, answer["import_error"]


@pytest.mark.parametrize(
    "expression", ["shop:create_app(open('/etc/passwd'))", "shop:app if app else app", "shop:[app]"]
)
def test_an_expression_that_is_more_than_a_name_is_refused(ask, expression):
    """Events are hostile input: the app's import path from one of them is not evaluated."""
    answer = ask(WSGI, {"app": expression, "requests": [{}]})
    assert answer["requests"] == []
    assert answer["import_error"]["exceptions"][0]["type"] == "ValueError"


ASGI = """
    import asyncio

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["ready"] = "yes"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        message = await receive()
        if scope["path"] == "/crash":
            raise LookupError("no")
        if scope["path"] == "/task":
            asyncio.get_running_loop().call_exception_handler({"message": "lost", "exception": OSError("task")})
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-state", scope["state"]["ready"].encode())]})
        await send({"type": "http.response.body", "body": scope["query_string"], "more_body": True})
        await send({"type": "http.response.body", "body": message["body"]})
        assert (await receive())["type"] == "http.disconnect"
    """


def test_an_asgi_app_is_started_and_called(ask):
    """Lifespan, state, streamed answers, and errors of tasks that nobody awaits."""
    requests = [{"path": "/x", "query": "q", "body": "Ym9keQ=="}, {"path": "/crash"}, {"path": "/task"}]
    first, second, third = ask(ASGI, {"app": "shop:app", "requests": requests})["requests"]
    assert (first["status"], body(first), first["headers"]) == (201, "qbody", [["x-state", "yes"]])
    assert (second["status"], second["error"]) == (500, "LookupError: no")
    assert [event["exceptions"][0]["type"] for event in third["events"]] == ["OSError"]


def test_an_asgi_app_behind_a_plain_callable_is_recognised(ask):
    """A wrapper that returns the coroutine of the app it wraps."""
    code = textwrap.dedent(ASGI) + textwrap.dedent(
        """
        class Wrapped:
            def __call__(self, scope, receive, send):
                return app(scope, receive, send)
        wrapped = Wrapped()
        """
    )
    assert ask(code, {"app": "shop:wrapped", "requests": [{}]})["requests"][0]["status"] == 201


def test_an_app_that_cannot_start_says_why(ask):
    """At its import, or in its lifespan."""
    answer = ask("1 / 0", {"app": "shop:app", "requests": [{}]})
    assert answer["import_error"]["exceptions"][0]["type"] == "ZeroDivisionError"
    failing = """
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})
        """
    answer = ask(failing, {"app": "shop:app", "requests": [{}]})
    assert "no database" in answer["import_error"]["exceptions"][0]["message"]


def test_exceptions_that_a_framework_or_the_app_caught_are_seen(ask):
    """Those that Flask turns into a 500, and those that the app logs; not its own 404."""
    pytest.importorskip("flask")
    code = """
        import flask, logging
        app = flask.Flask(__name__)

        @app.route("/crash")
        def crash():
            return {}["key"]

        @app.route("/logged")
        def logged():
            try:
                return [][0]
            except IndexError:
                logging.getLogger("shop").exception("oops")
                return "sorry"
        """
    answer = ask(code, {"app": "shop:app", "requests": [{"path": "/crash"}, {"path": "/logged"}, {"path": "/none"}]})
    seen = [[event["exceptions"][0]["type"] for event in one["events"]] for one in answer["requests"]]
    assert seen == [["KeyError"], ["IndexError"], []]
    assert [one["status"] for one in answer["requests"]] == [500, 200, 404]


def test_an_app_with_monitoring_of_its_own_writes_nothing(ask, tmp_path):
    """Its records stay in memory, and one crash is one event."""
    pytest.importorskip("flask")
    pytest.importorskip("homeostasis_flask")
    code = """
        import flask
        from homeostasis.monitoring import setup_monitoring
        app = flask.Flask(__name__)
        setup_monitoring(app, config={"project": "."})

        @app.route("/crash")
        def crash():
            return {}["key"]
        """
    answer = ask(code, {"app": "shop:app", "requests": [{"path": "/crash"}, {"path": "/crash"}]})
    assert [len(one["events"]) for one in answer["requests"]] == [1, 1]
    assert not (tmp_path / ".homeostasis").exists()


CALLS = """
    def plain(a, b=2, *rest, key, **more):
        raise ValueError(repr((a, b, rest, key, more)))

    async def later(a):
        return {}[a]

    class Cart:
        @classmethod
        def make(cls, size):
            return 1 / size

        def total(self):
            return 1 / 0
    """


def value(content):
    return {"type": type(content).__name__, "repr": repr(content), "literal": True}


@pytest.mark.parametrize(
    ("qualname", "arguments", "message"),
    [
        (
            "plain",
            {"a": 1, "b": [2], "rest": (3,), "key": "k", "more": {"x": None}},
            "(1, [2], (3,), 'k', {'x': None})",
        ),
        ("later", {"a": "missing"}, "'missing'"),
        ("Cart.make", {"cls": None, "size": 0}, "division by zero"),
    ],
)
def test_a_call_is_made_with_the_recorded_arguments(ask, qualname, arguments, message):
    """Of every kind; coroutines are awaited."""
    call = {"module": "shop", "qualname": qualname, "arguments": [[k, value(v)] for k, v in arguments.items()]}
    answer = ask(CALLS, {"call": call})["call"]
    assert answer["refusal"] is None
    assert [event["exceptions"][0]["message"] for event in answer["events"]] == [message]


@pytest.mark.parametrize(
    ("qualname", "arguments", "refusal"),
    [
        ("Cart.total", {"self": {"type": "Cart", "repr": "<Cart>"}}, "argument 'self', a Cart, cannot be rebuilt"),
        ("later", {}, "argument 'a' was not recorded"),
        ("later", {"a": {"type": "str", "repr": "'x'", "literal": True, "redacted": True}}, "holds a secret"),
        ("later", {"a": {"type": "str", "repr": "__import__('os')", "literal": True}}, "cannot be rebuilt"),
        ("outer.<locals>.inner", {}, "cannot be reached"),
        ("CONSTANT", {}, "cannot be reached"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(ask, qualname, arguments, refusal):
    """Which argument, and never by evaluating what was recorded."""
    call = {"module": "shop", "qualname": qualname, "arguments": list(arguments.items())}
    answer = ask(CALLS, {"call": call})["call"]
    assert answer["events"] == []
    assert refusal in answer["refusal"]


def test_garbage_is_collected_where_it_is_asked_for(ask):
    """A task that nothing keeps is lost with the request that started it."""
    code = """
        import asyncio

        async def deliver():
            await asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            if scope["type"] == "http":
                asyncio.ensure_future(deliver())
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"ok"})
        """
    request = {"method": "GET", "path": "/"}
    with_it, without = (
        ask(code, {"app": "shop:app", "requests": [request], "collect": collect})["requests"][0]
        for collect in (True, False)
    )
    assert [event["exceptions"][0]["type"] for event in with_it["events"]] == ["LostTask"]
    assert (without["events"], without["status"]) == ([], 200)
