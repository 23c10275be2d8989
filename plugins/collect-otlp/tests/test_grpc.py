"""OTLP over gRPC: what is answered to what."""

from __future__ import annotations

import subprocess
import threading

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from homeostasis.errors import ConfigError
from homeostasis.testing.fakes import MemorySink

from .calls import export
from .conftest import Listening, Slow
from .messages import child, histogram, log, logs, server, spans, told


def refusal(*words, **call):
    with pytest.raises(grpc.RpcError) as caught:
        export(*words, **call)
    return caught.value


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_everything_is_taken(compression, listen):
    """Each service takes its messages, compressed or not, and answers with an empty one."""
    running = listen()
    message = spans(child(events=[told()]), server())
    assert export(running.grpc, message, "trace.v1.TraceService", compression=compression) == b""
    assert export(running.grpc, histogram(), "metrics.v1.MetricsService", compression=compression) == b""
    assert [event.request.path for event in running.events()] == ["/orders/7"]
    assert {name for name, _, _ in running.sink.heard_of} == {"otlp/traces", "otlp/metrics"}


def test_a_partial_success(listen):
    """A record with a broken id is refused; its neighbour is taken."""
    running = listen(settle=0)
    answer = export(running.grpc, logs(log(span_id=b"long" * 5), log()))
    assert ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records == 1
    assert len(running.events()) == 1


def test_what_is_refused(listen):
    """Broken, too large, too large when it is unpacked: a clear answer, and the next call is taken."""
    running = listen(settle=0, max_body_bytes=100_000)
    large, gzip = b"\x0a" * 1_000_000, grpc.Compression.Gzip
    assert refusal(running.grpc, b"\xff" * 40).code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal(running.grpc, b"\x1f\x8bbroken").code() is grpc.StatusCode.INVALID_ARGUMENT
    for call in ({}, {"compression": gzip}):
        assert refusal(running.grpc, large, **call).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusal(running.grpc, b"", "logs.v1.Other").code() is grpc.StatusCode.UNIMPLEMENTED
    export(running.grpc, logs(log()))
    assert len(running.events()) == 1


def test_a_token(listen, monkeypatch):
    """With `token_env`, calls need it in their metadata."""
    monkeypatch.setenv("OTLP_TOKENS", "first,second")
    running = listen(token_env="OTLP_TOKENS", settle=0)
    for metadata in ((), (("authorization", "Bearer third"),), (("authorization", "second"),)):
        assert refusal(running.grpc, logs(log()), metadata=metadata).code() is grpc.StatusCode.UNAUTHENTICATED
    export(running.grpc, logs(log()), metadata=(("authorization", "Bearer second"),))
    assert len(running.events()) == 1


def test_nothing_is_read_without_a_token(listen, monkeypatch):
    """A caller without one is refused while its message is still to come."""
    monkeypatch.setenv("OTLP_TOKENS", "first")
    running = listen(token_env="OTLP_TOKENS", settle=0)
    never, path = threading.Event(), "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    try:
        with grpc.insecure_channel(running.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
            channel.stream_unary(path)(iter(never.wait, True), timeout=20)
    finally:
        never.set()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


class Broken(MemorySink):
    """A ledger that cannot be written."""

    def event(self, event):
        raise OSError("no space left on device")


def comes_back(error, code):
    """Whether the refusal says when to send it again, as both kinds of clients look for it."""
    trailing = dict(error.trailing_metadata())
    info = RetryInfo.FromString(trailing["google.rpc.retryinfo-bin"])
    status = Status.FromString(trailing["grpc-status-details-bin"])
    assert error.code() is code
    assert status.code == code.value[0]
    assert (info.retry_delay.seconds, status.details[0].Is(RetryInfo.DESCRIPTOR)) == (1, True)


def test_too_much_at_once_is_sent_again(place):
    """While as many calls wait as may, others are told to come back; none that was answered is lost."""
    sink = Slow()
    with Listening(place, sink, settle=0, max_pending=1) as running:
        first = threading.Thread(target=export, args=(running.grpc, logs(log())))
        first.start()
        assert sink.asked.wait(20)
        comes_back(refusal(running.grpc, logs(log())), grpc.StatusCode.RESOURCE_EXHAUSTED)
        sink.free.set()
        first.join()
        assert len(sink.events) == 1


def test_what_cannot_be_written_is_sent_again(place):
    """An answer means that the record is durable."""
    with Listening(place, Broken(), settle=0) as running:
        comes_back(refusal(running.grpc, logs(log())), grpc.StatusCode.UNAVAILABLE)
        running.until(lambda _: running.failures)
    assert "no space" in str(running.failures[0])


def test_a_port_that_is_taken_is_an_error(place, listen):
    """Two receivers do not share a port unseen."""
    port = int(listen().grpc.rpartition(":")[2])
    second = Listening(place, grpc_port=port, protocols=("grpc",))
    with pytest.raises(OSError, match="cannot be listened on"):
        second.collectors[1].run(MemorySink(), second.stop)


def test_no_thread_is_left(place):
    """A collector that is started again has threads of its own; those of the run before are gone."""
    with Listening(place, protocols=("grpc",)) as running:
        export(running.grpc, logs(log()))
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("otlp-grpc", "commit-otlp"))]


def test_tls(place, listen):
    """With a certificate, calls are encrypted."""
    words = ["-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", *words, "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=place.root,
        check=True,
        capture_output=True,
    )
    running = listen(protocols=("grpc",), tls_certificate="cert.pem", tls_key="key.pem", settle=0)
    export(running.grpc, logs(log()), credentials=grpc.ssl_channel_credentials((place.root / "cert.pem").read_bytes()))
    assert len(running.events()) == 1


def test_a_certificate_that_is_not_there(place):
    """Told when the receivers are made, with what is wrong."""
    with pytest.raises(ConfigError, match=r"absent\.pem"):
        Listening(place, protocols=("grpc",), tls_certificate="absent.pem", tls_key="absent.pem")
