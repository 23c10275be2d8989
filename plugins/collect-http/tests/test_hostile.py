"""Whatever comes over the wire: an answer or an end, and the next caller is served."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homeostasis_collect_http.calls import Answer, Refused, Route, Taken
from homeostasis_collect_http.connection import MAX_PIPELINED, Connection
from homeostasis_collect_http.endpoint import Serving, load_json
from homeostasis_collect_http.payloads import decompressed
from homeostasis_collect_http.routing import Routes
from homeostasis_collect_http.settings import EndpointTable

GOOD = b"POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"
PIECES = [
    GOOD, b"POST /a HTTP/1.1\r\n", b"GET /b HTTP/1.0\r\n", b"content-length: 5\r\n", b"content-length: 99999\r\n", b"transfer-encoding: chunked\r\n",
    b"\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffff\r\n", b"hello", b"expect: 100-continue\r\n", b"upgrade: h2c\r\nconnection: upgrade\r\n",
    b"GET /b HTTP/1.1\r\nexpect: x\r\n\r\n", b"content-encoding: gzip\r\n", b"origin: x\r\n", b"x: \xff\r\n", b"connection: close\r\n", b"CONNECT a:1 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.said, self.closed, self.ended, self.paused = b"", False, False, False

    def write(self, data):
        if self.ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.said += data

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.ended = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False

    def close(self):
        self.closed = True

    abort = close


class AtOnce:
    """A committer whose ledger is always done."""

    def submit(self, heard, taken, done):
        done(None)


class Later:
    """A committer whose ledger is done when it is told to be."""

    def __init__(self):
        self.waiting = []

    def submit(self, heard, taken, done):
        self.waiting.append(done)


class Loop:
    """The part of an event loop that a connection sees."""

    def time(self):
        return 0.0

    def call_soon_threadsafe(self, call):
        call()


@pytest.fixture(scope="module")
def connect():
    """Makes a connection over a `Transport`."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    routes = Routes([Route("POST", "/a", lambda call: Taken(answer=Answer(body=str(load_json(call.body)).encode())))])

    def make(committer=None):
        serving = Serving(EndpointTable(max_body_bytes=1024), routes, (), "test", committer or AtOnce(), Loop())
        transport = Transport()
        connection = Connection(serving)
        connection.connection_made(transport)
        return connection, transport, serving

    yield make
    asyncio.set_event_loop(None)
    loop.close()


@given(data=st.lists(st.sampled_from(PIECES) | st.binary(max_size=30), max_size=12), cuts=st.integers(1, 60))
@example(data=[GOOD, GOOD], cuts=1)
@settings(max_examples=400, deadline=None)
def test_any_bytes(connect, data, cuts):
    """Nothing is raised, all that is said is HTTP, and nothing is held when the client is gone."""
    connection, transport, serving = connect()
    told = b"".join(data)
    for at in range(0, len(told), cuts):
        connection.data_received(told[at : at + cuts])
    connection.eof_received()
    connection.connection_lost(None)
    assert transport.said == b"" or transport.said.startswith(b"HTTP/1.1 ")
    assert (serving._held, serving._pending, serving._connections) == (0, 0, set())


def test_what_stands_behind_the_last_answer_is_not_taken(connect):
    """A refused call that expects to be asked for its body ends the connection, once those before it are answered."""
    committer = Later()
    connection, transport, serving = connect(committer)
    connection.data_received(GOOD + b"GET /b HTTP/1.1\r\nexpect: x\r\n\r\n" + GOOD[:-1])
    committer.waiting[0](None)
    assert [part[:3] for part in transport.said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404"]
    connection.data_received(b"}")
    connection.eof_received()
    connection.connection_lost(None)
    assert (serving._held, serving._pending, len(committer.waiting)) == (0, 0, 1)


def test_of_a_client_that_reads_no_answers_nothing_is_read(connect):
    connection, transport, _ = connect()
    connection.data_received(GOOD)
    assert not transport.paused
    connection.pause_writing()
    connection.data_received(GOOD * 2)  # what was read already
    assert transport.paused
    assert connection.deadline - connection._now() <= EndpointTable().read_seconds
    connection.resume_writing()
    assert not transport.paused


def test_the_last_of_many_calls_is_read_to_its_end(connect):
    """Reading pauses while too many calls wait, also in the middle of one."""
    committer = Later()
    connection, transport, _ = connect(committer)
    connection.data_received(GOOD * MAX_PIPELINED + GOOD[:-1])
    assert transport.paused
    for done in committer.waiting:
        done(None)
    assert not transport.paused


def test_headers_behind_a_body_are_bounded(connect):
    connection, transport, _ = connect()
    connection.data_received(b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    for _ in range(100):
        connection.data_received(b"x: y\r\n" * 200)
    assert transport.said.startswith(b"HTTP/1.1 431 ")
    assert connection._headers == [(b"transfer-encoding", b"chunked")]


@given(before=st.integers(0, 5), cuts=st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_whole_calls_are_answered_wherever_they_are_cut(connect, before, cuts):
    connection, transport, _ = connect()
    told = GOOD * (before + 1)
    for at in range(0, len(told), cuts):
        connection.data_received(told[at : at + cuts])
    assert transport.said.count(b"HTTP/1.1 200 ") == before + 1


@given(body=st.binary(max_size=300), encoding=st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, br", "br,zstd"]))
@settings(max_examples=300, deadline=None)
def test_any_body_in_any_encoding(body, encoding):
    try:
        assert len(decompressed(body, encoding, 1000)) <= 1000
    except Refused as refused:
        assert refused.status in (400, 413)


@given(data=st.binary(max_size=60) | st.text(alphabet='[]{}",:\\u0dD89aNf 1e', max_size=60).map(str.encode))
@settings(max_examples=400, deadline=None)
def test_any_json(data):
    """A value whose strings are text, or a refusal."""
    try:
        found = load_json(data)
    except Refused as refused:
        assert refused.status == 400
    else:
        str(found).encode()
