"""Streams are split as their protocols say, wherever the bytes are cut; what is too long costs only itself."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostasis_collect_logs.listening.framing import BadFrame, Delimited, OctetCounted, Syslog, SyslogLines
from homeostasis_collect_logs.listening.gelf import CHUNK, MAX_OPEN, Chunks, inflate

LIMIT = 50
texts = st.binary(max_size=80).map(lambda data: data.replace(b"\n", b"").replace(b"\0", b""))


def fed(frames, data, step):
    found = [message for at in range(0, len(data), step) for message in frames.feed(data[at : at + step])]
    return found, frames.overlong


@given(messages=st.lists(texts, max_size=20), step=st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_messages_come_out_as_they_went_in(messages, step):
    """All but the empty and the too long ones, which are counted; in each framing."""
    short = [message for message in messages if len(message) <= LIMIT]
    for end in (b"\n", b"\0"):
        frames = Delimited(end, LIMIT)
        expected = [message for message in short if message], len(messages) - len(short)
        assert fed(frames, b"".join(message + end for message in messages), step) == expected
        assert not frames.held
    counted = OctetCounted(LIMIT)
    data = b"".join(b"%d %s" % (len(message), message) for message in messages)
    assert fed(counted, data, step) == (short, len(messages) - len(short))
    assert not counted.held


@given(data=st.binary(max_size=300), step=st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_any_bytes(data, step):
    """Nothing else than `BadFrame` is raised, and what is kept is bounded."""
    for frames in (Delimited(b"\n", LIMIT), OctetCounted(LIMIT), SyslogLines(LIMIT), Syslog(LIMIT)):
        try:
            for at in range(0, len(data), step):
                frames.feed(data[at : at + step])
                assert frames.held <= LIMIT + 60
        except BadFrame:
            pass


@pytest.mark.parametrize("data", [b"x", b"12", b"12x", b"99999999999 x", b"5 hello<11>x"])
def test_a_length_that_is_none(data):
    """The connection cannot be read any further; a length that is not whole yet may come."""
    frames = OctetCounted(LIMIT)
    if data == b"12":
        assert frames.feed(data) == []
    else:
        with pytest.raises(BadFrame):
            frames.feed(data)


def test_lines_of_one_message_have_its_head():
    """Writers are told apart although only the first line says who writes."""
    lines = b"<11>Jan  2 03:04:05 host shop[7]: failed\nTraceback\n  File\n<11>1 - h a 9 - - x\n  y\n<11>bare\n  z\n"
    head = b"<11>Jan  2 03:04:05 host shop[7]: "
    assert SyslogLines(LIMIT * 4).feed(lines) == [
        head + b"failed", head + b"Traceback", head + b"  File", b"<11>1 - h a 9 - - x", b"<11>1 - h a 9 - -   y", b"<11>bare", b"<11>  z",
    ]  # fmt: skip


def chunks_of(message, size, identifier=b"12345678"):
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return [CHUNK + identifier + bytes((number, len(pieces))) + piece for number, piece in enumerate(pieces)]


@given(order=st.permutations(range(5)), doubled=st.integers(0, 4))
@settings(max_examples=50, deadline=None)
def test_chunks_in_any_order(order, doubled):
    """Also with one that came twice, and messages of others between them."""
    table, whole = Chunks(1000), chunks_of(bytes(range(200)), 40)
    found = [table.feed(whole[place], "a", 0.0) for place in [order[doubled], *order]]
    assert [message for message in found if message is not None] == [bytes(range(200))]
    assert table.feed(whole[0], "b", 0.0) is None


def test_what_is_missing_is_given_up():
    """After five seconds, and the oldest ones when there are too many."""
    table = Chunks(1000)
    table.feed(chunks_of(b"x" * 20, 10)[0], "a", 0.0)
    table.expire(5.0)
    assert table.lost == {}
    table.expire(5.1)
    assert table.lost == {"GELF message of which chunks are missing": 1}
    for number in range(MAX_OPEN + 3):
        table.feed(chunks_of(b"x" * 20, 10, number.to_bytes(8, "big"))[0], "a", 10.0)
    assert table.lost == {"GELF message of which chunks are missing": 4}


@pytest.mark.parametrize("datagram", [CHUNK, CHUNK + b"12345678" + b"\x05\x05x", CHUNK + b"12345678" + b"\x00\xffx"])
def test_a_malformed_chunk_is_counted(datagram):
    """Without a number, with a number beyond the count, with too many."""
    table = Chunks(1000)
    assert table.feed(datagram, "a", 0.0) is None
    assert table.lost == {"malformed GELF chunk": 1}


@given(data=st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_any_datagram(data):
    """Nothing is raised."""
    table = Chunks(1000)
    for datagram in (data, CHUNK + data, b"\x78\x9c" + data, b"\x1f\x8b\x08" + data):
        table.feed(datagram, "a", 0.0)
    table.expire(100.0)


def test_a_bomb_is_not_unpacked():
    """A million zeros in a thousand bytes; members of gzip behind each other count together."""
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        inflate(zlib.compress(b"\0" * 1_000_000), 1000)
    packer = zlib.compressobj(wbits=31)
    member = packer.compress(b"abc") + packer.flush()
    assert inflate(member * 3, 9) == b"abc" * 3
    with pytest.raises(ValueError, match="more than 8 bytes"):
        inflate(member * 3, 8)
    with pytest.raises(ValueError, match="cut off"):
        inflate(member[:-1], 9)
