"""`HttpReceiver`: the collector that listens. What a receiver needs is importable from here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, Optional, Sequence, Set, Tuple

from homeostasis.errors import ConfigError
from homeostasis_collect_http.calls import (
    Answer,
    Call,
    Refused,
    Route,
    Taken,
    Traffic,
    bearer_token,
    plain_refusal,
)
from homeostasis_collect_http.committer import Committer
from homeostasis_collect_http.connection import Connection
from homeostasis_collect_http.payloads import load_json
from homeostasis_collect_http.routing import Found, Routes
from homeostasis_collect_http.settings import Tokens

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink, Stop
    from homeostasis.project import Project
    from homeostasis_collect_http.settings import EndpointTable

__all__ = [
    "Answer",
    "Call",
    "Committer",
    "HttpReceiver",
    "Refused",
    "Route",
    "Taken",
    "Traffic",
    "bearer_token",
    "load_json",
    "plain_refusal",
    "tls_context",
]

LOG = logging.getLogger("homeostasis.collect-http")
MAX_CONNECTIONS = 1000
MAX_HELD_BYTES = 32 * 1024 * 1024
"""Bodies that are read or wait for the ledger, all connections together."""
RETRY_SECONDS = 1
"""What `Retry-After` says when there is too much."""
GRACE_SECONDS = 2.0
"""How long answers may take when the collector is to end."""
_LOOK_SECONDS = 0.1


class HttpReceiver:
    """A collector that serves routes until it is to stop.

    Args:
        project: whose files complete the events, and in which certificates are looked for.
        settings: the plugin's table.
        routes: what is served.
        source: name in the list of sources, and prefix of `Event.source`.

    Raises:
        ConfigError: there is no token in the environment, or no certificate at its place.
    """

    def __init__(self, project: Project, settings: EndpointTable, routes: Sequence[Route], source: str) -> None:
        self._project = project
        self._settings = settings
        self._routes = Routes(routes)
        self._source = source
        self._tokens = settings.tokens()
        self._tls = tls_context(project, settings)
        self.ready = threading.Event()
        """Set while it listens."""
        self.address: Tuple[str, int] = ("", 0)
        """Host and port that it listens on, once it is `ready`."""

    def run(self, sink: Sink, stop: Stop) -> None:
        """Serve until `stop` is set.

        Raises:
            OSError: the address cannot be listened on.
        """
        with Committer(self._project, self._settings, self._source, sink) as committer:
            asyncio.run(self._serve(committer, stop))
        if committer.failure is not None:
            raise committer.failure

    async def _serve(self, committer: Committer, stop: Stop) -> None:
        loop = asyncio.get_running_loop()
        serving = Serving(self._settings, self._routes, self._tokens, self._source, committer, loop)
        handshake = self._settings.read_seconds if self._tls else None
        server = await loop.create_server(
            lambda: Connection(serving),
            self._settings.host,
            self._settings.port,
            ssl=self._tls,
            ssl_handshake_timeout=handshake,
        )
        self.address = server.sockets[0].getsockname()[:2]
        self.ready.set()
        LOG.info("%s listens on %s:%s", self._source, *self.address)
        try:
            while not stop.is_set() and committer.failure is None:
                await asyncio.sleep(_LOOK_SECONDS)
                serving.sweep()
        finally:
            self.ready.clear()
            server.close()
            await serving.finish()


def tls_context(project: Project, settings: EndpointTable) -> Optional[ssl.SSLContext]:
    """The context of `tls_certificate` and `tls_key`; None without them.

    Raises:
        ConfigError: they cannot be read.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = project.root / settings.tls_certificate, project.root / settings.tls_key
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate {certificate} with the key {key} cannot be used: {error}; both must be PEM, "
            "the key without a password"
        ) from error
    return context


class Serving:
    """What all connections of one run share: who may call, how much is held, and where calls go."""

    def __init__(
        self,
        settings: EndpointTable,
        routes: Routes,
        tokens: Tuple[str, ...],
        source: str,
        committer: Committer,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.settings = settings
        self._routes = routes
        self._tokens = Tokens(tokens)
        self._source = source
        self._committer = committer
        self._loop = loop
        self._connections: Set[Connection] = set()
        self._pending = 0
        self._held = 0
        self._written: Deque[Callable[[], None]] = deque()
        self._awake = False

    # --- connections

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more connection."""
        if len(self._connections) >= MAX_CONNECTIONS:
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._connections.discard(connection)

    def sweep(self) -> None:
        """End the connections whose time is over."""
        now = self._loop.time()
        for connection in list(self._connections):
            connection.expire(now)

    async def finish(self) -> None:
        """Answer what came whole, and end all connections."""
        end = self._loop.time() + GRACE_SECONDS
        for connection in list(self._connections):
            connection.finish()
        while self._pending and self._loop.time() < end:
            await asyncio.sleep(0.005)
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)

    # --- limits

    def expect(self, length: int) -> None:
        """A body of so many bytes is about to come.

        Raises:
            Refused: there is too much already.
        """
        if self._pending >= self.settings.max_pending or self._held + length > MAX_HELD_BYTES:
            raise Refused(429, "too much at once: send it again later", (("retry-after", str(RETRY_SECONDS)),))

    def hold(self, size: int) -> None:
        """Count bytes of a body that came.

        Raises:
            Refused: there is too much already.
        """
        self.expect(size)
        self._held += size

    def release(self, size: int) -> None:
        """Bytes that `hold` counted are not kept any more."""
        self._held -= size

    # --- calls

    def route(self, call: Call) -> Found:
        """The route of a call.

        Raises:
            Refused: there is none.
        """
        found = self._routes.find(call.method, call.path)
        if found is None:
            methods = self._routes.methods(call.path)
            if methods:
                raise Refused(405, f"send {' or '.join(methods)}", (("allow", ", ".join(methods)),))
            raise Refused(404, "nothing is received at this path")
        return found

    def check(self, route: Route, call: Call, *, complete: bool = False) -> None:
        """Look at who calls.

        Raises:
            Refused: the caller has no token that is accepted, or is a web page.
        """
        if not self._tokens:
            if "origin" in call.headers:  # any page that is open on this machine could call
                raise Refused(403, "calls of web pages are not taken without a token: set token_env")
            return
        told = route.token_of(call)
        if told is None and route.late_token and not complete:
            return
        if not self._tokens.accept(told):
            raise Refused(401, "the token is missing or not accepted")

    def take(self, route: Route, call: Call, held: int, answer: Callable[[Answer], None]) -> None:
        """Have a complete call handled and written; `answer` is told then.

        Raises:
            Refused: the handler did not take it.
        """
        if route.late_token:
            self.check(route, call, complete=True)
        try:
            taken = route.handler(call)
        except Refused:
            raise
        except Exception as error:
            LOG.exception("a call of %s could not be read", self._source)
            raise Refused(400, "this could not be read") from error
        self._pending += 1

        def written(failure: Optional[BaseException]) -> None:
            self._pending -= 1
            self.release(held)
            answer(taken.answer if failure is None else route.refusal(_not_written()))

        self._committer.submit(route.heard or self._source, taken, lambda failure: self._tell(lambda: written(failure)))

    def _tell(self, call: Callable[[], None]) -> None:
        """Have it called in the loop's thread; the first of a batch wakes that up."""
        self._written.append(call)
        if not self._awake:
            self._awake = True
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for the answer any more
                self._loop.call_soon_threadsafe(self._tell_all)

    def _tell_all(self) -> None:
        self._awake = False
        while self._written:
            call = self._written.popleft()
            try:
                call()
            except Exception:  # the others wait for their answers, too
                LOG.exception("a call could not be answered")


def _not_written() -> Refused:
    return Refused(503, "the ledger cannot be written: send it again", (("retry-after", str(RETRY_SECONDS)),))
