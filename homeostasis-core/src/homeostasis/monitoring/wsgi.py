"""Monitors a WSGI app from around it, without changing a byte of what it answers."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping

from homeostasis.monitoring.active import current as current_client
from homeostasis.monitoring.internal import failed
from homeostasis.monitoring.request import BodyRecorder, RequestState, Router, current
from homeostasis.monitoring.unread import read_rest

if TYPE_CHECKING:
    from homeostasis.monitoring.client import Client

WsgiApp = Callable[..., Iterable[bytes]]


class WsgiMonitor:
    """Wraps a WSGI app.

    Args:
        app: the app, or the part of it that frameworks call `wsgi_app`.
        framework: its name; None for an app without one.
        router: finds the pattern of the route in the environ.
    """

    def __init__(self, app: WsgiApp, framework: str | None = None, router: Router | None = None) -> None:
        self.wrapped = app
        self._monitored = _monitoring(app, framework, router, noted=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        return self._monitored(environ, start_response)


def noted_within(app: WsgiApp, framework: str, router: Router) -> WsgiApp:
    """As a `WsgiMonitor`, for an app whose adapter notes the status, and whether the answer is whole.

    It is a function, and nothing is put around `start_response` and most answers: that halves what it costs.
    """
    return _monitoring(app, framework, router, noted=True)


def _monitoring(app: WsgiApp, framework: str | None, router: Router | None, *, noted: bool) -> WsgiApp:
    """The app with monitoring around it; the status is read from outside, unless it is noted within."""
    make_request = _WsgiRequest.for_app(framework, router)
    outer_request, enter, leave = current.get, current.set, current.reset

    def monitored_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        client = current_client()
        outer = outer_request()
        if client is None or not client.active or (outer is not None and outer.source is environ):
            return app(environ, start_response)
        started = perf_counter()
        request = make_request(environ)
        length = environ.get("CONTENT_LENGTH")
        if (length and length != "0") or "HTTP_TRANSFER_ENCODING" in environ:
            _record_body(client, request, environ)
        token = enter(request)
        try:
            answer = app(environ, start_response if noted else _noting(client, request, start_response))
        except BaseException as error:
            crashed(client, request, error, started)
            raise
        finally:
            leave(token)
        if request.whole or _is_whole(answer, environ):
            if request.pending is not None:
                request.pending = None
            client.answered(request, perf_counter() - started)
            return answer
        return _Answer(client, request, started, answer)

    return monitored_app


class _WsgiRequest(RequestState):
    interface = "wsgi"

    def __init__(self, environ: Mapping[str, Any]) -> None:
        # What the constructor of the base sets: to call it takes longer.
        self.source = environ
        method = environ.get("REQUEST_METHOD")
        self.method = method if type(method) is str and method else "GET"


def _record_body(client: Client, request: RequestState, environ: dict[str, Any]) -> None:
    request.body = client.body_recorder()
    if request.body is not None and "wsgi.input" in environ:
        environ["wsgi.input"] = _Input(environ["wsgi.input"], request.body)


def _noting(client: Client, request: RequestState, start_response: Callable[..., Any]) -> Callable[..., Any]:
    def noting_start_response(status: str, headers: Any, *rest: Any) -> Any:
        try:
            number = int(status[:3])
        except (TypeError, ValueError):
            pass
        else:
            note_status(client, request, number)
        return start_response(status, headers, *rest)

    return noting_start_response


def _is_whole(answer: object, environ: Mapping[str, Any]) -> bool:
    """Whether nothing of the app runs while the answer is sent.

    A list cannot fail then, and servers take its length; a file wrapper must stay one for sendfile.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    return hasattr(type(answer), "__len__") or (isinstance(wrapper, type) and isinstance(answer, wrapper))


def crashed(client: Client, request: RequestState, error: BaseException, started: float) -> None:
    """Capture what escaped from the app, and count the request."""
    if request.status is None:
        request.status = 500
    note_route(request)
    capture(client, request, error)
    request.pending = None
    client.answered(request, perf_counter() - started, isinstance(error, Exception))


def note_route(request: RequestState) -> None:
    """Remember the route, while the framework still knows it. Never raises."""
    try:
        request.find_route()
    except Exception as failure:
        failed("finding the route of a request", failure)


def note_status(client: Client, request: RequestState, status: int) -> None:
    """Remember the status; capture the exception that the app turned into an error of its own."""
    request.status = status
    if request.pending is not None:
        error, request.pending = request.pending, None
        if status >= 500 or (status == 404 and client.settings.capture_404):
            capture(client, request, error, handled=True)


def capture(client: Client, request: RequestState, error: BaseException, *, handled: bool = False) -> None:
    """Capture an exception of a request, with the part of a small body that the app had not read yet."""
    if request.body is not None and not request.captured and not client.expects(error):
        try:
            read_rest(request.source, request.body)
        except Exception as failure:
            failed("reading the rest of a request", failure)
    client.capture(error, request=request, handled=handled)


class _Input:
    """`wsgi.input` that notes what the app reads."""

    def __init__(self, stream: Any, recorder: BodyRecorder) -> None:
        self._stream = stream
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, *size: Any) -> Any:
        return self._note(self._stream.read(*size))

    def readline(self, *size: Any) -> Any:
        return self._note(self._stream.readline(*size))

    def readlines(self, *hint: Any) -> Any:
        lines = self._stream.readlines(*hint)
        for line in lines:
            self._note(line)
        return lines

    def readinto(self, buffer: Any) -> Any:
        count = self._stream.readinto(buffer)
        if count:
            self._note(bytes(memoryview(buffer)[:count]))
        return count

    def __iter__(self) -> Iterator[Any]:
        for line in self._stream:
            self._note(line)
            yield line

    def _note(self, chunk: Any) -> Any:
        if type(chunk) is bytes:
            try:
                self._recorder.add(chunk)
            except Exception as error:
                failed("recording a body", error)
        return chunk


class _Answer:
    """An answer that is made while it is sent."""

    def __init__(self, client: Client, request: RequestState, started: float, answer: Iterable[bytes]) -> None:
        self._client = client
        self._request = request
        self._started = started
        self._answer = answer
        self._chunks: Iterator[bytes] | None = None
        self._over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    def __iter__(self) -> _Answer:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = iter(self._answer)
            return next(self._chunks)
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self._fail(error)
            raise

    def close(self) -> None:
        """Pass on that the answer was sent or given up."""
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._fail(error)
            raise
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._request.pending = None
            self._client.answered(self._request, perf_counter() - self._started)

    def _fail(self, error: BaseException) -> None:
        if self._over:
            capture(self._client, self._request, error)
            return
        self._over = True
        crashed(self._client, self._request, error, self._started)
