"""One connection: HTTP/1.1 as httptools parses it, within bounds of size and time.

Calls are answered in the order in which they came. A call that is refused is answered as soon as that is known, and
what still comes of its body is thrown away, so that the sender gets to read the answer.
"""

from __future__ import annotations

import asyncio
import http
import logging
import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Deque, Dict, List, Mapping, Optional, Tuple

import httptools

from homeostasis_collect_http.calls import Answer, Call, Refused, plain_refusal
from homeostasis_collect_http.payloads import decompressed

if TYPE_CHECKING:
    from homeostasis_collect_http.endpoint import Serving
    from homeostasis_collect_http.routing import Found

LOG = logging.getLogger("homeostasis.collect-http")
MAX_HEAD_BYTES = 65_536
"""Request line and headers."""
MAX_DISCARDED = 16
"""Of the body of a refused call, so many times the largest body are read and thrown away; then the connection ends."""
MAX_PIPELINED = 32
"""Calls of one connection that are read before the first of them is answered."""
IDLE_SECONDS = 75.0
"""How long a connection is kept on which nothing comes."""


class Slot:
    """The place of one call's answer among those of its connection."""

    __slots__ = ("answer", "call", "found", "keep", "sent")

    def __init__(self) -> None:
        self.call: Optional[Call] = None
        self.found: Optional[Found] = None
        self.answer: Optional[Answer] = None
        self.keep = True
        self.sent = False


class Connection(asyncio.Protocol):
    """Speaks HTTP with one client and hands its calls to the endpoint."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._settings = serving.settings
        self._parser = httptools.HttpRequestParser(self)
        self._slots: Deque[Slot] = deque()
        self._reading: Optional[Slot] = None  # the last slot, as long as its call is not complete
        self._begun = 0
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._held = 0
        self._url = b""
        self._headers: List[Tuple[bytes, bytes]] = []
        self._chunks: List[bytes] = []
        self._ending = False
        self._unread = False  # so many answers that the client does not read that nothing more is taken of it
        self.deadline = math.inf

    # --- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a call."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._now = asyncio.get_event_loop().time
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""
        self.deadline = self._now() + IDLE_SECONDS
        if not self._serving.admit(self):
            self._ending = True
            self._send(plain_refusal(Refused(503, "there are too many connections")), keep=False)
            transport.close()

    def connection_lost(self, error: Optional[BaseException]) -> None:  # noqa: ARG002
        """Forget the client. A call that came whole is kept all the same."""
        self._ending = True
        self._release()
        self._serving.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._ending:
            return
        before = self._progress()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._break_off(Refused(400, "only HTTP/1.1 is spoken here"))
        except httptools.HttpParserCallbackError:
            LOG.exception("a call could not be taken")
            self._break_off(Refused(500, "this call could not be taken"))
        except httptools.HttpParserError:
            self._break_off(Refused(400, "this is no HTTP/1.1"))
        if self._progress() == before:  # all of it was head, or what may follow a chunked body
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._break_off(_TOO_LONG)
        else:
            self._head_bytes = 0
        if len(self._slots) >= MAX_PIPELINED:
            self._transport.pause_reading()

    def _progress(self) -> Tuple[int, bool, int]:
        return self._begun, self._in_head, self._body_bytes

    def eof_received(self) -> bool:
        """A client that sends no more may still wait for its answers."""
        self.finish()
        return bool(self._slots) and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        """The client does not read its answers: read nothing more of it either."""
        self._unread = True
        self._transport.pause_reading()
        self.deadline = self._now() + self._settings.read_seconds

    def resume_writing(self) -> None:
        """It reads again."""
        self._unread = False
        self._transport.resume_reading()
        if not self._slots and not self._ending:
            self._await_call()

    def expire(self, now: float) -> None:
        """End the connection if its time is over."""
        if now < self.deadline:
            return
        if self._transport.is_closing():  # what was written last is not read by the client
            self._transport.abort()
            return
        if self._reading is not None and self._reading.answer is None:
            self._break_off(Refused(408, f"the call was not complete within {self._settings.read_seconds} s"))
        self._transport.close()
        self.deadline = now + self._settings.read_seconds

    def finish(self) -> None:
        """End the connection as soon as nothing is left to answer; an incomplete call is dropped."""
        self._ending = True
        if self._reading is not None:
            self._slots.pop()
            self._reading = None
            self._release()
        if not self._slots:
            self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        self._transport.abort()

    # --- httptools

    def on_message_begin(self) -> None:
        """A call begins."""
        if self._ending:  # it stands behind the last one that is answered
            return
        self._begun += 1
        self._in_head, self._head_bytes, self._body_bytes = True, 0, 0
        self._url, self._headers, self._chunks = b"", [], []
        self._reading = Slot()
        self._slots.append(self._reading)
        self.deadline = self._now() + self._settings.read_seconds

    def on_url(self, url: bytes) -> None:
        """Part of the request line."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one behind a chunked body, which nobody needs."""
        if self._in_head:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """All but the body is there: refuse the call now if that is to be done."""
        self._in_head = False
        slot = self._reading
        if slot is None:
            return
        slot.keep = self._parser.should_keep_alive()
        try:
            slot.call = self._call()
            slot.found = self._serving.route(slot.call)
            self._serving.check(slot.found.route, slot.call)
            self._serving.expect(self._length(slot.call.headers))
            waits = slot.call.headers.get("expect", "").lower() == "100-continue"
        except Refused as refused:
            # One that waits to send its body may then not send it, so that nothing behind could be told from it.
            slot.keep = slot.keep and not (slot.call and "expect" in slot.call.headers)
            self._refuse(slot, refused)
            return
        if waits and len(self._slots) == 1:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        slot, limit = self._reading, self._settings.max_body_bytes
        if slot is None:
            return
        self._body_bytes += len(body)
        if slot.answer is not None:
            if self._body_bytes > MAX_DISCARDED * limit:
                self.finish()
                self._transport.close()
            return
        try:
            if self._body_bytes > limit:
                raise Refused(413, f"the body is larger than {limit} bytes")
            self._serving.hold(len(body))
        except Refused as refused:
            self._refuse(slot, refused)
            return
        self._held += len(body)
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """The call is complete."""
        if self._ending:
            return
        slot, self._reading = self._reading, None
        self._in_head = True
        self.deadline = math.inf
        if slot is None or slot.answer is not None or slot.call is None or slot.found is None:
            self._flush()
            return
        raw, held = b"".join(self._chunks), self._held
        self._chunks, self._held = [], 0
        route = slot.found.route
        try:
            body = decompressed(raw, slot.call.headers.get("content-encoding", ""), self._settings.max_body_bytes)
            call = replace(slot.call, body=body, raw=raw, names=slot.found.names)
            slot.call = None
            self._serving.take(route, call, held, lambda answer: self._answer(slot, answer))
        except Refused as refused:
            self._serving.release(held)
            self._answer(slot, route.refusal(refused))

    def _call(self) -> Call:
        if sum(len(name) + len(value) for name, value in self._headers) + len(self._url) > MAX_HEAD_BYTES:
            raise _TOO_LONG
        headers: Dict[str, str] = {}
        for name, value in self._headers:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        try:
            url = httptools.parse_url(self._url)
        except httptools.HttpParserInvalidURLError as error:
            raise Refused(400, "the path of the call cannot be read") from error
        path, query = (url.path or b"/").decode("latin-1"), (url.query or b"").decode("latin-1")
        return Call(self._parser.get_method().decode("latin-1"), path, query, headers, client=self._client)

    def _length(self, headers: Mapping[str, str]) -> int:
        """What the call says of the length of its body, in bytes."""
        said, limit = headers.get("content-length", "0"), self._settings.max_body_bytes
        length = int(said) if said.isdigit() else 0
        if length > limit:
            raise Refused(413, f"the body of {length} bytes is larger than {limit} bytes")
        return length

    # --- answers

    def _refuse(self, slot: Slot, refused: Refused) -> None:
        self._release()
        self._answer(slot, slot.found.route.refusal(refused) if slot.found else plain_refusal(refused))

    def _release(self) -> None:
        self._serving.release(self._held)
        self._held, self._chunks = 0, []

    def _answer(self, slot: Slot, answer: Answer) -> None:
        slot.answer = answer
        self._flush()

    def _flush(self) -> None:
        """Send the answers whose turn it is."""
        while self._slots and not self._transport.is_closing():
            slot = self._slots[0]
            if slot.answer is None:
                if slot is self._reading:
                    self._read_on()
                return
            if not slot.sent:
                slot.sent = True
                slot.keep = slot.keep and not (self._ending and len(self._slots) == 1)
                self._send(slot.answer, keep=slot.keep)
            if slot is self._reading:
                return
            self._slots.popleft()
            if not slot.keep:
                self._end()
                return
        if not self._slots:
            self._await_call()

    def _await_call(self) -> None:
        self.deadline = self._now() + (self._settings.read_seconds if self._unread else IDLE_SECONDS)
        self._read_on()

    def _read_on(self) -> None:
        if not self._unread:
            self._transport.resume_reading()

    def _send(self, answer: Answer, *, keep: bool) -> None:
        lines = [
            f"HTTP/1.1 {answer.status} {_phrase(answer.status)}",
            f"content-type: {answer.content_type}",
            f"content-length: {len(answer.body)}",
            *(f"{name}: {value}" for name, value in answer.headers),
        ]
        lines += ["\r\n" if keep else "connection: close\r\n\r\n"]
        self._transport.write("\r\n".join(lines).encode("latin-1", "replace") + answer.body)

    def _break_off(self, refused: Refused) -> None:
        """Answer what cannot be read on, and end."""
        if self._ending:  # what cannot be read stands behind the last call that is answered
            return
        self._release()
        slot = self._reading
        if slot is None:
            slot = Slot()
            self._slots.append(slot)
        self._reading, self._ending, slot.keep = None, True, False
        slot.answer = slot.answer or plain_refusal(refused)
        self._flush()

    def _end(self) -> None:
        """Close in a way that lets the client read the last answer while it may still be sending."""
        self._ending = True
        self._slots.clear()
        self._reading = None
        self._release()
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            self.deadline = self._now() + self._settings.read_seconds
        else:
            self._transport.close()


_TOO_LONG = Refused(431, f"request line and headers are longer than {MAX_HEAD_BYTES} bytes")


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
