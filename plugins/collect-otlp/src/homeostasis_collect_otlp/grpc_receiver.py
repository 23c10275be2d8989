"""OTLP over gRPC."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional, Tuple

from google.rpc import code_pb2
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from homeostasis_collect_http.endpoint import Committer, Refused, tls_context
from homeostasis_collect_http.payloads import decompressed
from homeostasis_collect_http.settings import Tokens
from homeostasis_collect_otlp.forks import without_fork_handlers
from homeostasis_collect_otlp.messages import SIGNALS, Signal, Unreadable
from homeostasis_collect_otlp.routes import REFUSED

with without_fork_handlers():
    import grpc

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink, Stop
    from homeostasis.project import Project
    from homeostasis_collect_otlp.intake import Intake
    from homeostasis_collect_otlp.settings import CollectOtlpSettings

LOG = logging.getLogger("homeostasis.collect-otlp")
MAX_CALLS = 128
"""Calls at a time; each has a thread, most of the time waiting for the ledger."""
MAX_CALLS_OF_CONNECTION = 32
CONNECTION_SECONDS = 120
"""Age at which a connection is ended, and with it a call whose message never comes. Clients connect again unseen."""
KEEPALIVE_SECONDS = 30
RETRY_SECONDS = 1
_GRACE_SECONDS = 2.0
_LOOK_SECONDS = 0.1


class GrpcReceiver:
    """A collector that serves the three services of OTLP until it is to stop.

    Args:
        project: whose files complete the events, and in which certificates are looked for.
        settings: the plugin's table.
        intake: reads the messages.

    Raises:
        ConfigError: there is no token in the environment, or no certificate at its place.
    """

    def __init__(self, project: Project, settings: CollectOtlpSettings, intake: Intake) -> None:
        self._project = project
        self._settings = settings
        self._intake = intake
        self._tokens = Tokens(settings.tokens())
        tls_context(project, settings)
        self._room = threading.BoundedSemaphore(min(settings.max_pending, MAX_CALLS - 1))
        self.ready = threading.Event()
        """Set while it listens."""
        self.address: Tuple[str, int] = ("", 0)
        """Host and port that it listens on, once it is `ready`."""

    def run(self, sink: Sink, stop: Stop) -> None:
        """Serve until `stop` is set.

        Raises:
            OSError: the address cannot be listened on.
        """
        # The threads end before the committer does: a call that was submitted later would wait for ever.
        with Committer(self._project, self._settings, "otlp", sink) as committer, ThreadPoolExecutor(
            MAX_CALLS, thread_name_prefix="otlp-grpc"
        ) as threads:
            with without_fork_handlers():
                server = self._server(committer, threads)
                server.start()
            self.ready.set()
            LOG.info("otlp listens on %s:%s for gRPC", *self.address)
            try:
                while committer.failure is None and not stop.wait(_LOOK_SECONDS):
                    pass
            finally:
                self.ready.clear()
                server.stop(_GRACE_SECONDS).wait()
        if committer.failure is not None:
            raise committer.failure

    def _server(self, committer: Committer, threads: ThreadPoolExecutor) -> Any:
        server = grpc.server(
            threads,
            handlers=[self._service(signal, committer) for signal in SIGNALS],
            interceptors=[_Gate(self._tokens)] if self._tokens else [],
            maximum_concurrent_rpcs=MAX_CALLS,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", self._settings.max_body_bytes),
                ("grpc.per_message_decompression", 0),  # see `_decompressed`
                ("grpc.max_concurrent_streams", MAX_CALLS_OF_CONNECTION),
                ("grpc.max_connection_age_ms", CONNECTION_SECONDS * 1000),
                ("grpc.max_connection_age_grace_ms", int(self._settings.read_seconds * 1000)),
                ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
            ],
        )
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        address, port = f"{host}:{self._settings.grpc_port}", 0
        with contextlib.suppress(RuntimeError):  # what newer versions raise instead of returning 0
            if self._settings.tls_certificate is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, self._credentials())
        if not port:
            raise OSError(
                f"{address} cannot be listened on: if a collector of OpenTelemetry has this port, set grpc_port, or "
                'protocols = ["http"]'
            )
        self.address = self._settings.host, port
        return server

    def _credentials(self) -> Any:
        root, settings = self._project.root, self._settings
        key, certificate = root / (settings.tls_key or ""), root / (settings.tls_certificate or "")
        return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])

    def _service(self, signal: Signal, committer: Committer) -> Any:
        export = grpc.unary_unary_rpc_method_handler(self._export(signal, committer))
        return grpc.method_handlers_generic_handler(signal.service, {"Export": export})

    def _export(self, signal: Signal, committer: Committer) -> Callable[[bytes, Any], bytes]:
        """The method of a service: from the bytes of a message to those of the answer."""

        def export(body: bytes, context: Any) -> bytes:
            if not self._room.acquire(blocking=False):
                _come_back(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "too much at once: send it again later")
            try:
                return self._take(signal, body, context, committer)
            finally:
                self._room.release()

        return export

    def _take(self, signal: Signal, body: bytes, context: Any, committer: Committer) -> bytes:
        try:
            plain = _decompressed(body, self._settings.max_body_bytes)
            taken, rejected = self._intake.take(signal, lambda: signal.from_protobuf(plain))
        except Refused as refused:
            too_large = refused.status == 413
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if too_large else grpc.StatusCode.INVALID_ARGUMENT
            context.abort(code, refused.message)
        except Unreadable as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        written: Future[Optional[BaseException]] = Future()
        committer.submit(f"otlp/{signal.name}", taken, written.set_result)
        if written.result() is not None:
            _come_back(context, grpc.StatusCode.UNAVAILABLE, "the ledger cannot be written: send it again")
        answer: bytes = signal.answer(rejected, REFUSED).SerializeToString()
        return answer


class _Gate(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Lets callers in who have a token, before anything of their message is read."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """The handler of a call, or one that refuses it."""
        given = next((value for name, value in details.invocation_metadata if name == "authorization"), "")
        scheme, _, token = given.partition(" ")
        if self._tokens.accept(token.strip() if scheme.lower() == "bearer" else None):
            return continuation(details)
        return grpc.stream_unary_rpc_method_handler(_refuse)


def _refuse(_messages: Iterator[bytes], context: Any) -> bytes:
    """Of a stream, nothing is read until it is asked for."""
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or not accepted")
    return b""


def _decompressed(body: bytes, limit: int) -> bytes:
    """The message as it was before it was compressed.

    gRPC before 1.84 unpacks a message without a limit, so it is told not to, and hands over what came. Messages of OTLP
    have the fields 1 to 3 only, so that none begins like something compressed.

    Raises:
        Refused: it is larger than the limit, or broken.
    """
    if body.startswith(b"\x1f\x8b"):
        return decompressed(body, "gzip", limit)
    return decompressed(body, "deflate", limit) if body.startswith(b"\x78") else body


def _come_back(context: Any, code: Any, message: str) -> None:
    """Refuse a call that may be sent again; clients look for when in one of two places."""
    info = RetryInfo()
    info.retry_delay.seconds = RETRY_SECONDS
    number = code_pb2.RESOURCE_EXHAUSTED if code is grpc.StatusCode.RESOURCE_EXHAUSTED else code_pb2.UNAVAILABLE
    status = Status(code=number, message=message)
    status.details.add().Pack(info)
    trailing: List[Tuple[str, bytes]] = [
        ("google.rpc.retryinfo-bin", info.SerializeToString()),
        ("grpc-status-details-bin", status.SerializeToString()),
    ]
    context.set_trailing_metadata(trailing)
    context.abort(code, message)
