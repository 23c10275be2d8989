"""Clients that are slow, silent, greedy or broken harm nobody else, and are counted."""

from __future__ import annotations

import socket
import struct

import pytest

from homeostasis.config import validate_table
from homeostasis.errors import ConfigError
from homeostasis_collect_logs.assembly import Assembly
from homeostasis_collect_logs.listening.addresses import parse_address
from homeostasis_collect_logs.listening.intake import Intake
from homeostasis_collect_logs.listening.reception import Reception
from homeostasis_collect_logs.settings import CollectLogsSettings

CRASH = b'<11>failed\nTraceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: %d\n<11>next\n'
TCP = "syslog+tcp://127.0.0.1:0"


def test_a_message_that_is_not_finished_in_time(listening):
    """The connection is closed; one that only is silent is not."""
    listener = listening(TCP, read_seconds=0.3)
    with listener.connect() as slow, listener.connect() as silent:
        slow.sendall(b"<11>begun")
        assert slow.recv(100) == b""
        silent.sendall(CRASH % 1)
        listener.events(1)
    assert listener.lost("message that was not finished in time") == 1


def test_a_connection_that_ends_in_a_message(listening):
    """What was cut off is counted, whether it was closed or reset."""
    listener = listening(TCP)
    with listener.connect() as connection:
        connection.sendall(CRASH % 1 + b"<11>begun")
    connection = listener.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sendall(b"<11>begun")
    connection.close()
    assert listener.lost("message that the connection ended in", 2) == 2
    listener.events(1)


def test_more_connections_than_allowed(listening):
    """They are closed at once; those that are open go on, and a place that becomes free is taken."""
    listener = listening(TCP, max_connections=2)
    with listener.connect() as one:
        with listener.connect() as two:
            for number, connection in enumerate((one, two)):
                connection.sendall(CRASH % number)
            listener.events(2)
            with listener.connect() as three:
                assert three.recv(100) == b""
        assert listener.lost("connection beyond max_connections") == 1
        listener.until(lambda: _is_heard(listener))


def _is_heard(listener):
    with listener.connect() as again:
        try:
            again.sendall(CRASH % 3)
            again.shutdown(socket.SHUT_WR)
            again.recv(100)
        except OSError:
            return False
    return len(listener.sink.events) > 2


def test_a_message_that_is_too_long(listening):
    """It is passed over, and the next one is read."""
    listener = listening(TCP, max_line_bytes=1024)
    with listener.connect() as connection:
        connection.sendall(b"<11>" + b"x" * 100_000 + b"\n" + CRASH % 1)
        listener.events(1)
    assert listener.lost("log line too long") == 1


def test_a_stream_that_is_none(listening):
    """A length is not followed by what it counts."""
    listener = listening(TCP)
    with listener.connect() as connection:
        connection.sendall(b"5 hello<11>x")
        assert connection.recv(100) == b""
    assert listener.lost("connection that did not keep to its protocol") == 1


def test_no_tls_where_it_must_be(listening, certificates):
    """Plain text on a TLS port, and one who connects and says nothing."""
    pair = dict(zip(("tls_certificate", "tls_key"), certificates.server))
    listener = listening("syslog+tls://127.0.0.1:0", read_seconds=0.3, **pair)
    with listener.connect() as plain, listener.connect() as silent:
        plain.sendall(CRASH % 1)
        assert silent.recv(100) == b""
    assert listener.lost("connection that came to no TLS", 2) == 2


@pytest.mark.parametrize("address", ["gelf+udp://127.0.0.1:0", "json+udp://127.0.0.1:0"])
def test_any_datagrams(address, listening):
    """The crash behind them is read."""
    listener = listening(address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in (b"", b"\x1e\x0f", b"\xff" * 100, b"{", b"{}", b"[]", b"\x78\x9c\0", b"\0" * 60_000, b"<11>"):
            sender.sendto(data, ("127.0.0.1", listener.port))
        record = b'{"short_message": "failed", "full_message": "%s"}' % (CRASH[4:-9] % 1).replace(b'"', b'\\"').replace(
            b"\n", b"\\n"
        )
        sender.sendto(record, ("127.0.0.1", listener.port))
    assert listener.events(1)[0].raised.message == "1"


def test_what_the_kernel_dropped_is_counted(place):
    """More datagrams than it keeps, while nobody reads; each is either read or counted as lost."""
    settings = CollectLogsSettings(listen=("json+udp://127.0.0.1:0",))
    address = parse_address(settings.listen[0])
    intake = Intake("x", Assembly(max_line=1000, max_event_lines=10), 1000)
    with Reception(place, settings, {address: intake}, None, {}) as reception, socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM
    ) as sender:
        port = reception.bound[address].getsockname()[1]
        for _ in range(6_000):
            sender.sendto(b"x" * 1_000, ("127.0.0.1", port))
        while intake.heard < 1 or reception._selector.select(0):
            reception.turn(0, 0.0)
        sender.sendto(b"x", ("127.0.0.1", port))
        reception.turn(1, 0.0)
        lost = intake.take_lost()
    assert lost == {"datagram that the kernel dropped": 6_001 - intake.heard}
    assert intake.heard < 6_001


def test_many_crashes_over_one_connection_while_the_ledger_is_slow(listening):
    """The sender waits, and all of them come."""
    listener = listening(TCP, recapture=3600)
    with listener.connect() as connection:
        for number in range(2_000):
            connection.sendall(CRASH % number)
    listener.until(lambda: len(listener.sink.events) + sum(count for _, count, _ in listener.sink.recurrences) == 2_000)
    assert listener.sink.losses == []


def test_a_port_that_is_taken(place, listening):
    """The collector ends and says why."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(AssertionError, match=r"cannot listen on .* Address already in use"):
            listening(f"syslog+tcp://127.0.0.1:{other.getsockname()[1]}")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"listen": ["http://127.0.0.1:1"]}, "is no address to listen on"),
        ({"listen": ["gelf+unix:///x"]}, "is no address to listen on"),
        ({"listen": ["syslog+udp://127.0.0.1"]}, "must end with a port"),
        ({"listen": ["syslog+udp://example.org:5"]}, "must be an IP address or localhost"),
        ({"listen": ["syslog+unix://"]}, "names no socket"),
        ({"listen": ["syslog+tls://127.0.0.1:5"]}, "needs tls_certificate and tls_key"),
        ({"listen": [], "tls_key": "x"}, "belong together"),
        ({"listen": ["syslog+udp://0.0.0.0:5"]}, "set allow_unauthenticated"),
        ({"listen": ["syslog+tls://[::]:5"], "tls_certificate": "a", "tls_key": "b"}, "set allow_unauthenticated"),
    ],
)
def test_settings_that_cannot_be(table, says):
    """Each says what to do."""
    with pytest.raises(ConfigError, match=says):
        validate_table(CollectLogsSettings, table, "tool.homeostasis.collect-logs", None)


@pytest.mark.parametrize(
    "table",
    [
        {"listen": ["syslog+udp://[::1]:5", "gelf+tcp://localhost:5", "fluent+unix:///x", "json+udp://127.1.2.3:5"]},
        {"listen": ["syslog+tls://0.0.0.0:5"], "tls_certificate": "a", "tls_key": "b", "tls_client_ca": "c"},
        {"listen": ["fluent+tcp://0.0.0.0:5"], "forward_key_env": "KEY"},
        {"listen": ["syslog+udp://0.0.0.0:5"], "allow_unauthenticated": True},
    ],
)
def test_settings_that_are_well(table):
    """Loopback, or somebody who has to prove who they are, or leave to go without."""
    validate_table(CollectLogsSettings, table, "tool.homeostasis.collect-logs", None)
