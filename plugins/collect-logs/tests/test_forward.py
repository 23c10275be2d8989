"""Fluentd's forward protocol: every mode is read, and a chunk is acknowledged once its crashes are durable."""

from __future__ import annotations

import contextlib
import gzip
import hashlib

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_logs.listening.forward import Forward
from homeostasis_collect_logs.listening.framing import BadFrame

CRASH = 'Traceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: \'{}\''
RECORD = {"log": CRASH.format("one"), "container_name": "shop"}
TIME = msgpack.ExtType(0, (1767323045).to_bytes(4, "big") + (500_000_000).to_bytes(4, "big"))
LIMIT = 100_000


def packed(entries, **options):
    return b"".join(msgpack.packb(entry, **options) for entry in entries)


MODES = {
    "message": lambda entry: ["tag", *entry],
    "message with options": lambda entry: ["tag", *entry, {"size": 1}],
    "forward": lambda entry: ["tag", [entry]],
    "forward with metadata": lambda entry: ["tag", [[[entry[0], {}], entry[1]]], {"size": 1}],
    "packed": lambda entry: ["tag", packed([entry])],
    "packed as a string": lambda entry: ["tag", msgpack.unpackb(packed([entry], use_bin_type=False), raw=True, strict_map_key=False) and packed([entry])],
    "compressed": lambda entry: ["tag", gzip.compress(packed([entry])) + gzip.compress(packed([[1, {}]])), {"compressed": "gzip"}],
}  # fmt: skip


def entries_of(forward, data, step=1000):
    found = []
    for at in range(0, len(data), step):
        for delivery in forward.feed(data[at : at + step])[0]:
            found += list(delivery.entries)
    return found


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("step", [1, 1000])
def test_every_mode(name, step):
    """Record and time come out, with fractions of the second."""
    data = msgpack.packb(MODES[name]([TIME, RECORD]), use_bin_type=name != "packed as a string")
    found = entries_of(Forward(LIMIT), data, step)
    assert found[0] == (RECORD, 1767323045.5)


def test_a_time_in_seconds_and_one_that_is_none():
    """Older clients send whole seconds."""
    found = entries_of(Forward(LIMIT), msgpack.packb(["tag", [[1767323045, {}], ["x", {"a": b"\xff", 1: [{}]}], "x"]]))
    assert found == [({}, 1767323045.0), ({"a": "\ufffd", "1": [{}]}, None), None]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=10) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.integers(0, 9), inner, max_size=3),
    max_leaves=15,
)  # fmt: skip


@given(
    data=st.binary(max_size=100)
    | values.map(msgpack.packb)
    | st.lists(values, min_size=2, max_size=4).map(msgpack.packb)
)
@settings(max_examples=300, deadline=None)
def test_any_bytes(data):
    """Nothing else than `BadFrame` is raised; a record that follows a message is read."""
    forward = Forward(LIMIT)
    with contextlib.suppress(BadFrame):
        entries_of(forward, data)
        if not forward.held:
            assert entries_of(forward, msgpack.packb(["tag", 1, RECORD]))[-1] == (RECORD, 1.0)


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of four thousand million
        b"\x91" * 5_000,  # too deep
        b"\xc6\x7f\xff\xff\xff" + b"x" * LIMIT,  # two gigabytes to come
        b"\x94" + msgpack.packb(b"x" * (LIMIT - 500)) * 3,  # large by its parts only
        msgpack.packb(["tag"]),
        b"\xc1",
        msgpack.packb(["tag", b"x" * 2 * LIMIT]),
    ],
    ids=["long array", "deep", "long binary", "large by its parts", "short", "no type", "large"],
)
def test_what_ends_the_connection(data):
    """Too large, too deep, too short, or no MessagePack."""
    with pytest.raises(BadFrame):
        entries_of(Forward(LIMIT), data)


@pytest.mark.parametrize(
    "content",
    [b"\xc1", gzip.compress(b"\0" * 10_000_000), gzip.compress(b"\x93")[:-9]],
    ids=["no type", "bomb", "cut off"],
)
def test_a_chunk_that_cannot_be_read_is_one_loss(content):
    """The connection goes on."""
    message = msgpack.packb(["tag", content, {"compressed": "gzip"} if len(content) > 1 else {}])
    assert entries_of(Forward(LIMIT), message + msgpack.packb(["tag", 1, RECORD])) == [None, (RECORD, 1.0)]


def answer(connection):
    unpacker = msgpack.Unpacker()
    while True:
        data = connection.recv(4096)
        assert data, "the connection was closed"
        unpacker.feed(data)
        for found in unpacker:
            return found


def test_an_acknowledgement_waits_for_what_is_durable(listening):
    """The crash is in the sink when the answer comes; a chunk without a crash is answered as well."""

    class Checking(MemorySink):
        batches = 0

        @contextlib.contextmanager
        def batch(self):
            yield
            self.batches += 1

    sink = Checking()
    listener = listening("fluent+tcp://127.0.0.1:0", sink=sink)
    with listener.connect() as connection:
        connection.sendall(msgpack.packb(["tag", [[TIME, RECORD]], {"chunk": "c1"}]))
        assert answer(connection) == {"ack": "c1"}
        assert (len(sink.events), sink.batches) == (1, 1)
        connection.sendall(msgpack.packb(["tag", [[TIME, {"log": "INFO fine"}]], {"chunk": "c2"}]))
        assert answer(connection) == {"ack": "c2"}
    assert sink.events[0].timestamp == 1767323045.5


def test_a_traceback_in_two_chunks_is_acknowledged_as_a_whole(listening):
    """The first chunk has no crash yet; its answer waits for the second."""
    lines = RECORD["log"].split("\n")
    listener = listening("fluent+tcp://127.0.0.1:0", settle=3600)
    with listener.connect() as connection:
        first, rest = ([[TIME, {"log": line}] for line in part] for part in (lines[:2], [*lines[2:], "INFO next"]))
        connection.sendall(msgpack.packb(["tag", packed(first), {"chunk": "c1"}]))
        connection.sendall(msgpack.packb(["tag", packed(rest), {"chunk": "c2"}]))
        assert answer(connection) == {"ack": "c1"}
        assert [event.raised.message for event in listener.sink.events] == ["'one'"]


def test_a_chunk_that_was_sent_again_counts_once(listening):
    """The client did not get the answer: it gets it again, and the record is counted as a repetition."""
    listener = listening("fluent+tcp://127.0.0.1:0")
    for _ in range(2):
        with listener.connect() as connection:
            connection.sendall(msgpack.packb(["tag", [[TIME, RECORD]], {"chunk": "c1"}]))
            assert answer(connection) == {"ack": "c1"}
    assert listener.lost("record that was sent again") == 1
    assert len(listener.sink.events) == 1


def test_nothing_is_acknowledged_that_the_sink_did_not_take(listening):
    """The connection ends without an answer; when the collector runs again, the crash is put, and its repetition is."""

    class Full(MemorySink):
        full = True

        def event(self, event):
            if self.full:
                raise OSError("no space left on device")
            super().event(event)

    listener = listening("fluent+tcp://127.0.0.1:0", sink=Full())
    with listener.connect() as connection:
        connection.sendall(msgpack.packb(["tag", [[TIME, RECORD]], {"chunk": "c1"}]))
        assert connection.recv(100) == b""
    listener.until(lambda: listener.raised)
    listener.sink.full = False
    listener.start()
    listener.events(1)


def shaken(connection, key, salt=b"salt"):
    """The PONG, after a PING with a key."""
    nonce = answer(connection)[1]["nonce"]
    digest = hashlib.sha512(salt + b"client" + nonce + key).hexdigest()
    connection.sendall(msgpack.packb(["PING", "client", salt, digest, "", ""], use_bin_type=False))
    return answer(connection)


def test_a_shared_key(listening, monkeypatch):
    """Who knows it is heard, and is shown that the server knows it; who does not is cut off."""
    monkeypatch.setenv("SHOP_KEY", "secret")
    listener = listening("fluent+tcp://127.0.0.1:0", forward_key_env="SHOP_KEY")
    with listener.connect() as connection:
        pong = shaken(connection, b"secret")
        assert pong[:2] == ["PONG", True]
        connection.sendall(msgpack.packb(["tag", TIME, RECORD]))
        listener.events(1)
    with listener.connect() as connection:
        assert shaken(connection, b"secret", b"\xff\x00 as Fluent Bit's")[:2] == ["PONG", True]
    with listener.connect() as connection, pytest.raises(AssertionError, match="closed"):
        shaken(connection, b"wrong")
    with listener.connect() as connection:
        connection.sendall(msgpack.packb(["tag", TIME, RECORD]))
        answer(connection)
        assert connection.recv(100) == b""
    assert listener.lost("connection that did not keep to its protocol", 2) == 2
