"""The tee: Sentry gets what the app sent, and neither the app nor the healer waits for it."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import threading

import pytest

from homeostasis.errors import ConfigError
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_sentry import forwarding
from homeostasis_collect_sentry.forwarding import ENDED, FAILED, FULL, REFUSED, Target
from homeostasis_collect_sentry.receiver import SentryReceiver
from homeostasis_collect_sentry.settings import CollectSentrySettings

from .conftest import running
from .test_protocol import AUTH, envelope, event, send


class Upstream:
    """What stands for Sentry: keeps what comes and answers as told."""

    def __init__(self):
        self.calls, self.answers, self.may = [], [], threading.Event()
        self.may.set()
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                upstream.may.wait(20)
                status, headers = upstream.answers.pop(0) if upstream.answers else (200, {})
                upstream.calls.append((self.path, dict(self.headers.items()), body))
                self.send_response(status)
                for name, value in {**headers, "content-length": "2"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://real@127.0.0.1:{self.server.server_port}/7"

    def wait_for(self, count):
        for _ in range(1000):
            if len(self.calls) >= count:
                return self.calls
            threading.Event().wait(0.01)
        raise AssertionError(f"{len(self.calls)} of {count} calls came")


@pytest.fixture
def upstream(monkeypatch):
    found = Upstream()
    monkeypatch.setenv("REAL_DSN", found.dsn)
    thread = threading.Thread(target=found.server.serve_forever, args=(0.02,))
    thread.start()
    yield found
    found.may.set()
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@contextlib.contextmanager
def tee(place, sink, **settings):
    """A receiver that sends on; its losses are in the sink at the end."""
    table = CollectSentrySettings(port=0, recapture=0, forward_env="REAL_DSN", **settings)
    with running(SentryReceiver(place, table), sink) as collector:
        yield "http://key@{}:{}/42".format(*collector.http.address)


def test_what_is_accepted_is_sent_on_as_it_came(place, sink, upstream):
    """The same bytes in the same encoding, with the real key."""
    body = gzip.compress(envelope(("event", event()), ("session", {})))
    with tee(place, sink) as dsn:
        auth = AUTH.format("key")
        assert (
            send(dsn, body, content_encoding="gzip", content_type="application/x-sentry-envelope", x_sentry_auth=auth)[
                0
            ]
            == 200
        )
        assert send(dsn, json.dumps(event("b" * 32)), "store")[0] == 200
        first, second = sorted(upstream.wait_for(2))
    assert (first[0], first[2]) == ("/api/7/envelope/", body)
    headers = {name.lower(): value for name, value in first[1].items()}
    assert (headers["content-encoding"], headers["content-type"]) == ("gzip", "application/x-sentry-envelope")
    assert "sentry_key=real" in headers["x-sentry-auth"]
    assert (second[0], json.loads(second[2])["event_id"]) == ("/api/7/store/", "b" * 32)
    assert len(sink.events) == 2
    assert sink.losses == []


def test_a_dsn_in_the_envelope_becomes_the_real_one(place, sink, upstream):
    with tee(place, sink) as dsn:
        assert (
            send(
                dsn,
                gzip.compress(envelope(("event", event()), dsn="http://key@x/1", sent_at="now")),
                content_encoding="gzip",
            )[0]
            == 200
        )
        ((_, headers, body),) = upstream.wait_for(1)
    line, _, rest = body.partition(b"\n")
    assert json.loads(line) == {"dsn": upstream.dsn, "sent_at": "now"}
    assert rest == envelope(("event", event())).partition(b"\n")[2]
    assert "content-encoding" not in {name.lower() for name in headers}


def test_what_is_refused_here_is_not_sent_on(place, sink, upstream):
    with tee(place, sink) as dsn:
        assert send(dsn, b"x")[0] == 400
        assert send(dsn, envelope(("event", event())))[0] == 200
        upstream.wait_for(1)
    assert len(upstream.calls) == 1


def test_a_slow_sentry_holds_up_nobody(place, sink, upstream):
    """Calls are answered meanwhile; those that find the queue full are counted, and the others arrive later."""
    upstream.may.clear()
    with tee(place, sink, max_forwarding=3) as dsn:
        for number in range(12):
            assert send(dsn, envelope(("event", event(f"{number:032}"))))[0] == 200
        upstream.may.set()
        upstream.wait_for(3)
    assert len(sink.events) == 12
    assert dict(sink.losses).keys() == {FULL}
    lost = sum(count for _, count in sink.losses)
    assert lost >= 12 - 3 - forwarding.THREADS
    assert lost + len(upstream.calls) == 12


def test_sentry_may_ask_to_wait_and_may_refuse(place, sink, upstream, monkeypatch):
    monkeypatch.setattr(forwarding, "WAITS", (0.0, 0.01, 0.01))
    upstream.answers = [(429, {"retry-after": "0"}), (500, {}), (200, {}), (403, {})]
    with tee(place, sink) as dsn:
        assert send(dsn, envelope(("event", event())))[0] == 200
        upstream.wait_for(3)
        assert send(dsn, envelope(("event", event("b" * 32))))[0] == 200
        upstream.wait_for(4)
    assert sink.losses == [(REFUSED, 1)]


def test_a_sentry_that_cannot_be_reached_is_counted(place, sink, upstream, monkeypatch):
    monkeypatch.setattr(forwarding, "WAITS", (0.0, 0.01))
    monkeypatch.setenv("REAL_DSN", "http://real@127.0.0.1:9/7")
    with tee(place, sink) as dsn:
        assert send(dsn, envelope(("event", event())))[0] == 200
        threading.Event().wait(0.2)
    assert len(sink.events) == 1
    assert sink.losses == [(FAILED, 1)]


def test_a_header_that_is_no_ascii_stops_nothing(place, sink, upstream):
    with tee(place, sink) as dsn:
        for number in range(2 * forwarding.THREADS):
            assert send(dsn, envelope(("event", event(f"{number:032}"))), user_agent="caf\xe9")[0] == 200
        calls = upstream.wait_for(2 * forwarding.THREADS)
    assert {headers["user-agent"] for _, headers, _ in calls} == {"caf\xe9"}
    assert sink.losses == []


def test_it_goes_on_when_the_collector_is_started_again(place, sink, upstream):
    """As the engine does after a failure, with the same collector."""

    class Broken(MemorySink):
        def event(self, event):
            raise OSError("disk full")

    collector = SentryReceiver(place, CollectSentrySettings(port=0, recapture=0, forward_env="REAL_DSN"))
    stop = threading.Event()
    raised = []

    def run():
        try:
            collector.run(Broken(), stop)
        except OSError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert collector.http.ready.wait(20)
    assert send("http://key@{}:{}/42".format(*collector.http.address), envelope(("event", event())))[0] == 503
    thread.join(20)
    assert len(raised) == 1
    with running(collector, sink):
        assert send("http://key@{}:{}/42".format(*collector.http.address), envelope(("event", event())))[0] == 200
        upstream.wait_for(2)
    assert sink.losses == []


def test_what_still_waits_at_the_end_is_counted(place, sink, upstream, monkeypatch):
    monkeypatch.setattr(forwarding, "DRAIN_SECONDS", 0.1)
    upstream.may.clear()
    with tee(place, sink) as dsn:
        for number in range(forwarding.THREADS + 3):
            assert send(dsn, envelope(("event", event(f"{number:032}"))))[0] == 200
        threading.Event().wait(0.3)  # each thread has taken one
    assert sink.losses == [(ENDED, 3)]


def test_the_real_sdk_through_the_tee_to_another_receiver(place, sink, run_app, monkeypatch):
    """What stands behind the tee reads the same event."""
    monkeypatch.setenv("REAL_KEYS", "real")
    behind = MemorySink()
    with running(SentryReceiver(place, CollectSentrySettings(port=0, token_env="REAL_KEYS")), behind) as other:
        monkeypatch.setenv("REAL_DSN", "http://real@{}:{}/7".format(*other.http.address))
        with tee(place, sink) as dsn:
            run_app("import sentry_sdk\nsentry_sdk.init()\nimport shop.cart\nshop.cart.plain()\n", dsn)
            for _ in range(500):
                if behind.events:
                    break
                threading.Event().wait(0.01)
    (here,), (there,) = sink.events, behind.events
    assert here.fingerprint == there.fingerprint
    assert (here.raised, here.timestamp) == (there.raised, there.timestamp)


@pytest.mark.parametrize(
    "dsn",
    ["", "x", "https://host/1", "https://key@host", "ftp://key@host/1", "https://key@[host/1", "https://key@host:x/1"],
)
def test_what_is_no_dsn(place, monkeypatch, dsn):
    monkeypatch.setenv("REAL_DSN", dsn)
    with pytest.raises(ConfigError, match="REAL_DSN") as raised:
        SentryReceiver(place, CollectSentrySettings(forward_env="REAL_DSN"))
    assert not dsn or f"{dsn} " not in str(raised.value)


def test_it_does_not_send_to_itself(place, monkeypatch):
    monkeypatch.setenv("REAL_DSN", "http://key@localhost:4781/1")
    with pytest.raises(ConfigError, match="this endpoint itself"):
        SentryReceiver(place, CollectSentrySettings(forward_env="REAL_DSN"))


def test_a_dsn_taken_apart():
    found = Target.of("https://key:secret@[::1]:9000/sentry/42", "DSN")
    assert found.url("envelope") == "https://[::1]:9000/sentry/api/42/envelope/"
    assert found.dsn == "https://key@[::1]:9000/sentry/42"
