"""Reaches into a Flask app: what its error handlers swallow, which route matched, and how long it took."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Mapping

from flask import Flask, Response, got_request_exception
from werkzeug.exceptions import InternalServerError

from homeostasis.monitoring.active import current as current_client
from homeostasis.monitoring.request import current as current_request
from homeostasis.monitoring.wsgi import WsgiMonitor, capture, note_route, note_status, noted_within

if TYPE_CHECKING:
    from homeostasis.monitoring.client import Client
    from homeostasis.monitoring.request import RequestState

_EXTENSION = "homeostasis"


def matches(app: Any) -> bool:
    """Whether this is a Flask app."""
    return isinstance(app, Flask)


def instrument(app: Flask, client: Client) -> None:  # noqa: ARG001 - all adapters have this signature
    """Monitor the app; a second call changes nothing."""
    if app.extensions.get(_EXTENSION):
        return
    app.extensions[_EXTENSION] = True
    # setattr: only this instance
    if _is_stock(app):
        setattr(app, "wsgi_app", noted_within(app.wsgi_app, "flask", _route))  # noqa: B010
        _watch_answers(app)
    else:
        setattr(app, "wsgi_app", WsgiMonitor(app.wsgi_app, "flask", _route))  # noqa: B010
        _watch_routing(app)
    _watch_handlers(app)
    got_request_exception.connect(_unhandled, app)


def _is_stock(app: Flask) -> bool:
    """Whether each answer of the app passes through `finalize_request`, and reaches the server as it is then."""
    names = ("wsgi_app", "full_dispatch_request", "handle_exception")
    return all(getattr(getattr(app, name), "__func__", None) is getattr(Flask, name) for name in names)


def _route(environ: Mapping[str, Any]) -> str | None:
    """The pattern of the route, such as `/orders/<int:id>`; Flask forgets it when the answer is there."""
    try:
        rule = environ["werkzeug.request"].url_rule.rule
    except (KeyError, AttributeError):  # none has matched
        return None
    return rule if type(rule) is str else None


def _unhandled(_app: Flask, exception: BaseException, **_: Any) -> None:
    """An exception that no error handler is registered for; Flask answers 500, or passes it on to the server."""
    client, request = current_client(), current_request.get()
    if client is None:
        return
    if request is None:
        client.capture(exception)
        return
    request.status = 500
    if request.route is None:
        request.route = _route(request.source)
    capture(client, request, exception)
    request.pending = None


def _watch_answers(app: Flask) -> None:
    """Note route and status of each answer where Flask finishes it.

    That costs one call. From outside it would take a `start_response` of our own and an iterator around the answer,
    which is several times as much. And no frame of ours gets into the tracebacks that Flask logs.
    """
    finalize: Any = app.finalize_request
    answered_request = current_request.get

    @wraps(finalize)
    def finalize_request(*args: Any, **kwargs: Any) -> Any:
        response = finalize(*args, **kwargs)
        request = answered_request()
        if request is not None:
            if request.route is None:
                try:  # `_route`, but for the call
                    rule = request.source["werkzeug.request"].url_rule.rule
                    if type(rule) is str:
                        request.route = rule
                except (KeyError, AttributeError):
                    pass
            if request.pending is None:
                request.status = response.status_code
            else:
                _note_pending(request, response.status_code)
            if type(response) is Response:
                body = response.response
                if type(body) is list:
                    whole = len(body) == 1 and type(body[0]) is bytes
                else:
                    whole = bool(args) and _is_plain_error(args[-1])
                request.whole = whole and not response._on_close  # noqa: SLF001 - what runs then may still fail
        return response

    setattr(app, "finalize_request", finalize_request)  # noqa: B010 - only this instance


def _is_plain_error(answer: object) -> bool:
    """Whether it is Flask's own answer to an exception that the app does not handle."""
    return type(answer) is InternalServerError and answer.response is None


def _note_pending(request: RequestState, status: int) -> None:
    client = current_client()
    if client is not None:
        note_status(client, request, status)


def _watch_routing(app: Flask) -> None:
    """Note the pattern of the route, in an app that was changed in other ways."""
    dispatch: Any = app.full_dispatch_request

    @wraps(dispatch)
    def full_dispatch_request(*context: Any) -> Any:
        request = current_request.get()
        if request is not None:
            note_route(request)
        return dispatch(*context)

    setattr(app, "full_dispatch_request", full_dispatch_request)  # noqa: B010 - only this instance


def _watch_handlers(app: Flask) -> None:
    """Note each exception that an error handler of the app gets to see: its answer decides what becomes of it."""
    # Where a handler is searched, no frame of ours stays in the traceback; formatting one for the log costs more than
    # all the rest. Extensions that replace `handle_user_exception` need not search there.
    stock = getattr(app.handle_user_exception, "__func__", None) is Flask.handle_user_exception
    name = "_find_error_handler" if stock and hasattr(app, "_find_error_handler") else "handle_user_exception"
    handle: Any = getattr(app, name)

    @wraps(handle)
    def noting(error: Exception, *args: Any) -> Any:
        request = current_request.get()
        if request is not None and getattr(error, "original_exception", None) is None:
            request.pending = error
        return handle(error, *args)

    setattr(app, name, noting)
