"""Real emitters send a crash to the listeners: it becomes the event that the monitoring captures, less what is not there."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import shutil
import socket
import subprocess

import pytest

from homeostasis.testing.builders import crash
from homeostasis_collect_logs.assembly import Assembly
from homeostasis_collect_logs.listening.intake import Intake

HEAD = """
import logging, logging.handlers, socket, sys
import shop.cart
host, port, work = "127.0.0.1", int(sys.argv[1]), getattr(shop.cart, sys.argv[2])
log = logging.getLogger("shop")
log.setLevel("INFO")
"""
TAIL = """
log.addHandler(handler)
log.info("before")
try:
    work()
except Exception:
    log.exception("it failed")
log.info("after")
handler.close()
"""
EMITTERS = {
    "syslog+udp": "handler = logging.handlers.SysLogHandler((host, port))\n",
    "syslog+tcp": "handler = logging.handlers.SysLogHandler((host, port), socktype=socket.SOCK_STREAM)\n",
    "gelf+udp graypy": "import graypy\nhandler = graypy.GELFUDPHandler(host, port)\n",
    "gelf+udp graypy in chunks": "import graypy\nhandler = graypy.GELFUDPHandler(host, port, compress=False, gelf_chunker=graypy.handler.GELFWarningChunker(100))\n",
    "gelf+tcp graypy": "import graypy\nhandler = graypy.GELFTCPHandler(host, port)\n",
    "gelf+udp pygelf": "import pygelf\nhandler = pygelf.GelfUdpHandler(host, port, compress=True, chunk_size=100)\n",
    "gelf+tcp pygelf": "import pygelf\nhandler = pygelf.GelfTcpHandler(host, port)\n",
    "json+tcp python-json-logger": (
        "from pythonjsonlogger.json import JsonFormatter\n"
        "class Handler(logging.StreamHandler):\n    def close(self):\n        self.stream.close()\n"
        "handler = Handler(socket.create_connection((host, port)).makefile('w'))\nhandler.setFormatter(JsonFormatter())\n"
    ),
    "fluent+tcp fluent-logger": (
        "from fluent.handler import FluentHandler, FluentRecordFormatter\nhandler = FluentHandler('shop', host=host, port=port, nanosecond_precision=True)\n"
        "class Formatter(FluentRecordFormatter):\n    def format(self, record):\n        return {**super().format(record), 'message': logging.Formatter().format(record)}\n"
        "handler.setFormatter(Formatter())\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("work", ["plain", "cause"])
@pytest.mark.parametrize("name", EMITTERS)
def test_it_is_the_crash_that_the_monitoring_captures(name, work, place, run_app, listening):
    """Type, message, frames and relations are the same."""
    listener = listening(f"{name.split()[0]}://127.0.0.1:0")
    errors = run_app(HEAD + EMITTERS[name] + TAIL, str(listener.port), work)
    assert "Error" not in errors
    (event,) = listener.events(1)
    captured = crash(place, f"import shop.cart\nshop.cart.{work}()")
    assert (event.raised.dotted, event.raised.message) == (captured.raised.dotted, captured.raised.message)
    ours, expected = (
        [(f.qualname, f.span.line) for f in found.raised.frames if f.path.endswith("cart.py")] for found in (event, captured)
    )  # fmt: skip
    assert ours == expected
    assert [raised.relation for raised in event.exceptions] == [raised.relation for raised in captured.exceptions]
    assert listener.sink.losses == []
    listener.stop()
    assert sum(count for _, count, _ in listener.sink.heard_of) >= 3


def raise_and_log(handler):
    """Log a crash of this process's own through a handler, with a frame in the project's file."""
    log = logging.Logger("shop")
    log.addHandler(handler)
    log.error("failed\nTraceback (most recent call last):\n%s", LINES)
    handler.close()


LINES = '  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: \'one\''


def test_a_unix_socket(place, listening):
    """As `/dev/log` is one; a socket that was left behind by a killed process is replaced."""
    path = place.root / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(path))
    listener = listening(f"syslog+unix://{path}")
    raise_and_log(logging.handlers.SysLogHandler(str(path)))
    (event,) = listener.events(1)
    assert event.raised.message == "'one'"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(path))
        sender.send(f"<11>{'x' * 150_000}\nTraceback (most recent call last):\n{LINES}".replace("one", "two").encode())
    assert listener.events(2)[1].raised.message == "'two'"
    listener.stop()
    assert not path.exists()


def test_a_datagram_that_the_kernel_cut(listening, monkeypatch):
    """It is counted, and not read as if it were whole."""
    monkeypatch.setattr("homeostasis_collect_logs.listening.datagrams.LARGEST", 100)
    listener = listening("syslog+udp://127.0.0.1:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"<11>Traceback (most recent call last):\n{LINES}".encode(), ("127.0.0.1", listener.port))
    assert listener.lost("log line too long") == 1
    assert listener.sink.events == []


def test_long_messages_are_not_kept():
    """Neither one of them, nor the one before it as if it were the last."""
    intake = Intake("x", Assembly(max_line=1 << 20, max_event_lines=100), 1 << 20)
    intake.message(b"ERROR in app: Exception on /a [GET]", "peer", 0.0)
    intake.message(b"x" * 100_000, "peer", 0.0)
    assert not intake._last
    intake.message(f"Traceback (most recent call last):\n{LINES}".encode(), "peer", 0.0)
    intake.finish()
    assert [crash.request for crash in intake.take()] == [None]


@pytest.mark.skipif(shutil.which("logger") is None, reason="no logger of util-linux here")
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("syslog+udp", ["--udp"]),
        ("syslog+udp", ["--udp", "--rfc3164", "-i"]),
        ("syslog+tcp", ["--tcp"]),
        ("syslog+tcp", ["--tcp", "--octet-count", "--id=7"]),
        ("syslog+unix", ["-t", "shop"]),
    ],
)
def test_the_logger_of_util_linux(address, words, place, listening):
    """One message per line of a traceback, in both formats and framings."""
    if address == "syslog+unix":
        where = str(place.root / "log.sock")
        listener = listening(f"{address}://{where}")
        words = [*words, "--socket", where]
    else:
        listener = listening(f"{address}://127.0.0.1:0")
        words = [*words, "--server", "127.0.0.1", "--port", str(listener.port)]
    text = f"it failed\nTraceback (most recent call last):\n{LINES}\nINFO next\n"
    subprocess.run(["logger", *words], input=text, text=True, check=True)
    (event,) = listener.events(1)
    assert event.raised.message == "'one'"


def test_tls_with_client_certificates(certificates, listening, place):
    """Whoever has a certificate of the authority is heard, others are not; Python's own SSL is the client."""
    listener = listening(
        "syslog+tls://127.0.0.1:0",
        tls_certificate=certificates.server[0],
        tls_key=certificates.server[1],
        tls_client_ca=certificates.authority,
    )
    for own in (None, certificates.client):
        # With TLS 1.3 a client learns of its refusal by what it sends or reads next.
        with contextlib.suppress(OSError), certificates.connect(listener.port, own) as connection:
            connection.sendall(f"<11>failed\nTraceback (most recent call last):\n{LINES}\n".encode())
    (event,) = listener.events(1)
    assert event.raised.message == "'one'"
    assert listener.lost("connection that came to no TLS") == 1
