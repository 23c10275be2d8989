"""Replay what was recorded, inside a sandbox, in the app's interpreter: `python -m homeostasis.monitoring.replay`.

Standard input is one JSON object::

    {"service": "shop", "project_root": "/srv/shop", "app": "shop:create_app()", "requests": [Request, ...]}
    {"service": "shop", "project_root": "/srv/shop", "call": {"module": "shop.cart", "qualname": "total",
                                                              "arguments": [["items", Value], ...]}}

The answer is one JSON object on the standard output that the process was started with; what the app itself prints goes
to standard error, so it cannot be taken for the answer::

    {"requests": [{"status": 500, "headers": [["content-type", "text/html"]], "body": "<base64>",
                   "events": [Event, ...], "error": "KeyError: 'price'" or null}, ...],
     "import_error": Event or null,          the app could not be imported, made or started
     "modules": [{"path", "syntax": phrase or null, "error": phrase or null}, ...],
     "call": {"events": [Event, ...], "refusal": "why the call could not be made" or null} or null}

With `"collect": true`, garbage is collected after each request, which brings lost tasks to light.

Either question may also have `"modules": [["shop/cart.py", "shop.cart" or null], ...]`: files that are compiled and, if
they have a name, imported.

The events of a request are those of all exceptions that escaped from the app, that its framework caught, that it
logged, or that its own monitoring saw. Redacted values in requests are sent as they were recorded.
"""

from __future__ import annotations

import ast
import base64
import importlib
import inspect
import json
import os
import sys
from typing import Any

from homeostasis.autostart import escapes
from homeostasis.monitoring import importing
from homeostasis.monitoring.call import call
from homeostasis.monitoring.inprocess import is_asgi, send_wsgi
from homeostasis.monitoring.witness import Witness


def resolve(expression: str) -> Any:
    """The object that `module:expression` names, such as `shop:create_app()` or `main:factory(debug=False).app`.

    Only names, attributes and calls with literal arguments are understood. What is found and can only be called
    without arguments is a factory, and is called.

    Raises:
        ValueError: the expression is something else.
    """
    module_name, _, rest = expression.partition(":")
    parsed = ast.parse(rest or "app", mode="eval").body
    module = importlib.import_module(module_name)
    found = _evaluate(parsed, module, expression)
    return found() if _is_factory(found) else found


def _evaluate(node: ast.expr, module: Any, expression: str) -> Any:
    if isinstance(node, ast.Name):
        return getattr(module, node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_evaluate(node.value, module, expression), node.attr)
    if isinstance(node, ast.Call):
        positional = [ast.literal_eval(argument) for argument in node.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
        return _evaluate(node.func, module, expression)(*positional, **named)
    raise ValueError(f"app = {expression!r} is not a name, an attribute or a call with literal arguments")


def _is_factory(found: Any) -> bool:
    if not inspect.isfunction(found):
        return False
    needed = [p for p in inspect.signature(found).parameters.values() if p.default is p.empty]
    return not [p for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def replay_requests(question: dict[str, Any], witness: Witness) -> dict[str, Any]:
    """Import the app, send the requests and return the answer as above, without `call`."""
    answers: list[dict[str, Any]] = []

    def done(got: dict[str, Any]) -> None:
        error = got.pop("error")
        if error is not None:
            witness.see(error)
            got["status"] = got["status"] or 500
        got["error"] = None if error is None else f"{type(error).__name__}: {error}"[:500]
        answers.append({**got, "body": base64.b64encode(got["body"]).decode(), "events": witness.drain()})

    import_error = None
    try:
        app = resolve(question["app"])
        witness.attach()
        witness.drain()
        if is_asgi(app):
            from homeostasis.monitoring.inprocess_asgi import send_asgi  # asyncio is a tenth of a small app's start

            send_asgi(app, question["requests"], done, collect=bool(question.get("collect")))
        else:
            send_wsgi(app, question["requests"], done)
    except BaseException as error:
        import_error = witness.describe(error)
    return {"requests": answers, "import_error": import_error}


def main() -> None:
    """Read the question, replay, write the answer, and end without waiting for threads of the app."""
    question = json.load(sys.stdin)
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.environ["HOMEOSTASIS_TRANSPORT"] = "memory"
    witness = Witness(question["project_root"], question.get("service") or "app")
    escapes.watch("replay", escapes.Listener(witness.see))
    result: dict[str, Any] = {"requests": [], "import_error": None, "call": None}
    if question.get("call"):
        result["call"] = call(question["call"], witness)
    elif question.get("app"):
        result.update(replay_requests(question, witness))
    result["modules"] = importing.check(question.get("modules") or [])
    private.write(json.dumps(result))
    private.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    if "" not in sys.path:
        sys.path.insert(0, "")
    main()
