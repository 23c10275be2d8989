"""The endpoint over real sockets: what is answered, and when."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
import zlib

import brotli
import pytest
import zstandard
from pydantic import ValidationError

from homeostasis.errors import ConfigError
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_http import connection, endpoint
from homeostasis_collect_http.endpoint import Answer, HttpReceiver, Route, Taken
from homeostasis_collect_http.settings import EndpointTable

from .conftest import crash, read, running

ONE = json.dumps({"crashes": 1}).encode()


def post(address, body=ONE, path="/crashes", method="POST", **headers):
    """Status, headers and body of the answer."""
    client = http.client.HTTPConnection(*address, timeout=10)
    try:
        client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = client.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        client.close()


def talk(address, *pieces, until=b""):
    """What the server says to some bytes until it closes, or until it has said something."""
    with socket.create_connection(address, timeout=10) as client:
        for piece in pieces:
            client.sendall(piece)
        said = b""
        while not (until and until in said):
            data = client.recv(65536)
            if not data:
                break
            said += data
        return said


def call(body, *headers):
    """A request as bytes."""
    lines = ["POST /crashes HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_a_crash_is_an_event_before_it_is_answered(serve):
    sink = MemorySink()
    assert post(serve(sink))[::2] == (200, b"{}")
    assert [(event.source, event.raised.type) for event in sink.events] == [("test:text", "KeyError")]
    assert [(name, records) for name, records, _ in sink.heard_of] == [("test", 1)]


def test_the_answer_waits_for_the_ledger(serve):
    """Nothing is acknowledged that is not durable: the batch is over first."""
    order = []

    class Slow(MemorySink):
        def batch(self):
            return _Batch(order)

    assert post(serve(Slow()))[0] == 200
    assert order == ["begin", "end"]


class _Batch:
    def __init__(self, order):
        self.order = order

    def __enter__(self):
        self.order.append("begin")

    def __exit__(self, *_):
        threading.Event().wait(0.05)
        self.order.append("end")


def test_a_ledger_that_fails_is_told_and_the_same_call_again_is_no_repetition(place):
    """503 and Retry-After; what was not written is not taken for known, and the collector says what happened."""

    class Broken(MemorySink):
        def event(self, event):
            raise OSError("disk full")

    receiver = HttpReceiver(place, EndpointTable(port=0), [Route("POST", "/crashes", read)], "test")
    with running(receiver, Broken()) as raised:
        status, headers, _ = post(receiver.address)
    assert (status, headers["retry-after"]) == (503, "1")
    assert [str(error) for error in raised] == ["disk full"]
    sink = MemorySink()
    with running(receiver, sink):
        assert post(receiver.address)[0] == 200
    assert len(sink.events) == 1


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("gzip, br", lambda body: brotli.compress(gzip.compress(body))),
        ("identity", bytes),
    ],
)
def test_encodings(serve, name, pack):
    sink = MemorySink()
    address = serve(sink)
    assert post(address, pack(ONE), content_encoding=name)[0] == 200
    assert len(sink.events) == 1
    bomb = pack(b"[" + b" " * 3_000_000 + b"]")
    assert post(address, bomb, content_encoding=name)[0] == 413
    assert post(address, pack(ONE)[:-4], content_encoding=name)[0] == 400
    assert post(address, pack(ONE), content_encoding=name)[0] == 200


def test_of_two_streams_none_is_dropped(serve):
    sink = MemorySink()
    address = serve(sink)
    half, rest = ONE[:5], ONE[5:]
    assert post(address, gzip.compress(half) + gzip.compress(rest), content_encoding="gzip")[0] == 400
    assert post(address, gzip.compress(ONE) + gzip.compress(b""), content_encoding="gzip")[0] == 400
    frames = zstandard.compress(half) + zstandard.compress(rest)
    assert post(address, frames, content_encoding="zstd")[0] == 200
    assert len(sink.events) == 1


def test_an_unknown_encoding_is_refused(serve):
    assert post(serve(), content_encoding="compress")[0] == 415
    assert post(serve(), content_encoding="br, br, br, br")[0] == 415


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'"\\ud800', b"[" * 9000 + b"NaN" + b"]" * 9000, b"1" * 500_000]
)
def test_what_is_no_json_is_a_400(serve, body):
    status, _, said = post(serve(), body)
    assert (status, said[:7]) == (400, b"no JSON") or status == 400


def test_json_of_python_is_read(serve):
    """A file name that is no UTF-8, NaN, and long numbers are what Python's json writes."""
    heard = []
    routes = [Route("POST", "/crashes", lambda call: heard.append(endpoint.load_json(call.body)) or Taken())]
    body = json.dumps({"name": "caf\udce9", "worst": float("nan"), "big": 10**30, "small": 7}).encode()
    assert post(serve(routes=routes), body)[0] == 200
    assert heard == [{"name": "caf?", "worst": None, "big": 1e30, "small": 7}]


def test_limits_of_size(serve):
    address = serve(max_body_bytes=2048)
    assert post(address, b"x" * 5000)[0] == 413
    assert talk(
        address, b"POST /crashes HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n", until=b"larger"
    ).startswith(b"HTTP/1.1 413 ")
    chunk = b"800\r\n" + b" " * 0x800 + b"\r\n"
    said = talk(address, b"POST /crashes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", chunk, chunk, b"0\r\n\r\n", until=b"larger")  # fmt: skip
    assert said.startswith(b"HTTP/1.1 413 ")
    long = b"POST /crashes HTTP/1.1\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(200))
    assert talk(address, long + b"\r\n").startswith(b"HTTP/1.1 431 ")
    assert talk(address, b"POST /crashes HTTP/1.1\r\nx: ", *[b"y" * 60_000] * 10).startswith(b"HTTP/1.1 431 ")
    assert post(address)[0] == 200


def test_after_a_refusal_the_connection_goes_on(serve):
    """The body of a refused call is thrown away, and the next call is taken."""
    address = serve(max_body_bytes=2048)
    client = http.client.HTTPConnection(*address, timeout=10)
    for body, status in ((b"x" * 5000, 413), (ONE, 200), (b"{", 400), (ONE, 200)):
        client.request("POST", "/crashes", body)
        answer = client.getresponse()
        assert (answer.status, answer.read() != b"") == (status, True)
    client.close()


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"POST /crashes HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"\r\n" * 5 + b"{}\r\n\r\n"]
)  # fmt: skip
def test_what_is_no_http_is_a_400(serve, said):
    assert talk(serve(), said).startswith(b"HTTP/1.1 400 ")


def test_paths_and_methods(serve):
    address = serve()
    assert post(address, path="/crashes/?x=1")[0] == 200
    assert post(address, path="/other")[0] == 404
    status, headers, _ = post(address, method="PUT")
    assert (status, headers["allow"]) == (405, "POST")


def test_segments_of_a_path_have_names(serve):
    routes = [Route("POST", "/api/{project}/store/", lambda call: Taken(answer=Answer(body=call.names["project"].encode())))]  # fmt: skip
    address = serve(routes=routes)
    assert post(address, path="/api/42/store/")[::2] == (200, b"42")
    assert post(address, path="/api/42/else")[0] == 404


def test_calls_of_one_connection_are_answered_in_order(serve):
    """Also if a later one is refused at once, and an earlier one waits for the ledger."""
    said = talk(serve(), call(ONE) + call(b"{") + call(ONE) + call(b"x", "connection: close"))
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200", b"400"]


def test_a_client_that_closes_its_side_gets_its_answer(serve):
    with socket.create_connection(serve(), timeout=10) as client:
        client.sendall(call(ONE))
        client.shutdown(socket.SHUT_WR)
        said = client.recv(65536)
        assert said.startswith(b"HTTP/1.1 200 ")
        assert client.recv(65536) == b""


def test_expect_100_continue(serve):
    address = serve()
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(call(b"", "expect: 100-continue").replace(b"length: 0", b"length: 14"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(ONE)
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_refused_call_that_waits_to_send_its_body_ends_the_connection(serve):
    said = talk(serve(), b"POST /other HTTP/1.1\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n", until=b"path")
    assert said.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in said


def test_bodies_may_be_much_longer_than_heads(serve):
    """Of several bodies in many pieces none is taken for a head."""
    sink = MemorySink()
    client = http.client.HTTPConnection(*serve(sink), timeout=10)
    for _ in range(3):
        client.request("POST", "/crashes", b'{"crashes": 1, "more": "' + b"x" * 900_000 + b'"}')
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"{}")
    client.close()
    assert len(sink.events) + sum(count for _, count, _ in sink.recurrences) == 3


def test_slow_and_silent_clients_are_let_go(serve, monkeypatch):
    """Half a header, half a body and nothing at all: an answer where there is one to give, and the connection ends."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.3)
    address = serve(read_seconds=0.3)
    assert talk(address, b"POST /cra").startswith(b"HTTP/1.1 408 ")
    assert talk(address, call(b"")[:-2] + b"content-length: 0\r\n").startswith(b"HTTP/1.1 4")
    assert talk(address, call(ONE)[:-3]).startswith(b"HTTP/1.1 408 ")
    assert talk(address, b"") == b""
    assert post(address)[0] == 200


def test_a_client_that_reads_no_answers_is_let_go(serve, monkeypatch):
    """Also when what was written last cannot be sent any more."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(endpoint, "MAX_CONNECTIONS", 1)
    address = serve(read_seconds=0.3)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.2)
        deaf.connect(address)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                deaf.sendall(call(b"{") * 1000)
        deadline = time.monotonic() + 10
        while b" 503 " in talk(address, b""):
            assert time.monotonic() < deadline
            threading.Event().wait(0.1)


def test_too_many_connections_are_refused(serve, monkeypatch):
    monkeypatch.setattr(endpoint, "MAX_CONNECTIONS", 2)
    address = serve()
    with socket.create_connection(address, timeout=10), socket.create_connection(address, timeout=10):
        assert talk(address, b"").startswith(b"HTTP/1.1 503 ")


class Held(MemorySink):
    """A ledger that takes nothing until it may."""

    def __init__(self):
        super().__init__()
        self.may = threading.Event()

    def batch(self):
        assert self.may.wait(20)
        return super().batch()


def test_back_pressure(serve):
    """When as many calls wait as may, the next one is refused at once, with its body still to come."""
    sink = Held()
    address = serve(sink, max_pending=2)
    with socket.create_connection(address, timeout=10) as first, socket.create_connection(
        address, timeout=10
    ) as second:
        first.sendall(call(ONE))
        second.sendall(call(ONE))
        refused = b""
        while b" 429 " not in refused:
            said = talk(address, b"POST /crashes HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n", until=b"later") if threading.Event().wait(0.02) else talk(address, b"POST /crashes HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\nx", until=b"later")  # fmt: skip
            refused += said
        assert b"retry-after: 1" in refused
        sink.may.set()
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")
        assert second.recv(100).startswith(b"HTTP/1.1 200 ")
    assert post(address)[0] == 200
    assert len(sink.events) + sum(count for _, count, _ in sink.recurrences) == 3


def test_stop_answers_what_came_whole(place):
    sink, receiver = Held(), HttpReceiver(place, EndpointTable(port=0), [Route("POST", "/crashes", read)], "test")
    with running(receiver, sink):
        client = socket.create_connection(receiver.address, timeout=10)
        client.sendall(call(ONE))
        threading.Event().wait(0.2)
        threading.Timer(0.3, sink.may.set).start()
    with client:
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert len(sink.events) == 1


def test_beyond_loopback_a_token_is_needed(monkeypatch, place):
    with pytest.raises(ValidationError, match="set token_env"):
        EndpointTable(host="0.0.0.0")
    monkeypatch.delenv("SHOP_TOKENS", raising=False)
    table = EndpointTable(host="0.0.0.0", token_env="SHOP_TOKENS")
    with pytest.raises(ConfigError, match="SHOP_TOKENS"):
        HttpReceiver(place, table, [], "test")
    for wrong in ({"host": "example.org"}, {"tls_key": "key.pem"}):
        with pytest.raises(ValidationError):
            EndpointTable(**wrong)


def test_tokens(serve, monkeypatch):
    monkeypatch.setenv("SHOP_TOKENS", "old, new")
    sink = MemorySink()
    address = serve(sink, token_env="SHOP_TOKENS")
    assert post(address)[0] == 401
    assert post(address, authorization="Bearer ol")[0] == 401
    assert post(address, authorization="Basic old")[0] == 401
    assert sink.events == []
    assert post(address, authorization="Bearer new")[0] == 200
    assert post(address, authorization="bearer old")[0] == 200


def test_a_web_page_cannot_call(serve):
    """A page that is open in a browser on the machine reaches loopback; it always names its origin."""
    assert post(serve(), origin="https://evil.example")[0] == 403


def test_tls(serve, place):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=place.root, check=True, capture_output=True,
    )  # fmt: skip
    host, port = serve(tls_certificate="cert.pem", tls_key="key.pem")
    client = http.client.HTTPSConnection(
        host, port, timeout=10, context=ssl.create_default_context(cafile=str(place.root / "cert.pem"))
    )
    client.request("POST", "/crashes", ONE)
    assert client.getresponse().status == 200
    client.close()
    with pytest.raises(ConfigError, match="cannot be used"):
        HttpReceiver(place, EndpointTable(tls_certificate="shop.py", tls_key="key.pem"), [], "test")


def test_a_handler_that_fails_costs_its_own_call(serve, caplog):
    def broken(call):
        raise ZeroDivisionError

    address = serve(routes=[Route("POST", "/broken", broken), Route("POST", "/crashes", read)])
    assert post(address, path="/broken")[0] == 400
    assert post(address)[0] == 200
    assert "could not be read" in caplog.text


def test_the_same_crash_many_times_is_one_event(serve):
    sink = MemorySink()
    address = serve(sink)
    for _ in range(3):
        assert post(address, b'{"crashes": 100}')[0] == 200
    assert (len(sink.events), sum(count for _, count, _ in sink.recurrences)) == (1, 299)
    assert sum(records for _, records, _ in sink.heard_of) == 300


def test_a_batch_ends_early_when_it_takes_long(serve, monkeypatch):
    """The ledger is not held for as long as many new crashes take; all calls are answered in the end."""
    from homeostasis_collect_http import committer

    monkeypatch.setattr(committer, "BATCH_SECONDS", 0.0)
    batches = []

    class Counting(MemorySink):
        def batch(self):
            batches.append(len(self.recurrences))
            return super().batch()

    sink = Counting()
    said = talk(serve(sink), b"".join(call(ONE) for _ in range(5)) + call(ONE, "connection: close"))
    assert said.count(b"HTTP/1.1 200 ") == 6
    assert len(batches) == 6
    assert len(sink.events) + sum(count for _, count, _ in sink.recurrences) == 6


def test_crashes_that_can_be_completed_are_so_once(serve):
    """What takes long to read is read for the one that becomes an event."""
    completed, sink = [], MemorySink()
    routes = [
        Route("POST", "/crashes", lambda call: Taken(crashes=[crash(complete=completed.append) for _ in range(5)]))
    ]
    assert post(serve(sink, routes))[0] == 200
    assert (len(completed), len(sink.events)) == (1, 1)
