"""Where one message ends and the next begins in a stream of bytes."""

from __future__ import annotations

import re
from typing import List, Optional, Protocol

from homeostasis_collect_logs.envelopes import Line, opened

_PRIORITY = re.compile(rb"<\d{1,3}>")
_COUNT = re.compile(rb"(\d{1,8}) ")
_MAX_PREFIX = 2_000


class BadFrame(Exception):
    """The stream cannot be split any further: the connection has to end."""


class Frames(Protocol):
    """Splits what one connection sends."""

    overlong: int
    """Messages that were passed over since this was set to 0."""

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""

    def feed(self, data: bytes) -> List[bytes]:
        """The messages that end in the next bytes.

        Raises:
            BadFrame: the bytes are not what the protocol allows.
        """


class Delimited:
    """Messages that each end with one byte: a line end, or a zero.

    Args:
        end: the byte.
        limit: bytes of the longest message; longer ones are passed over.
    """

    def __init__(self, end: bytes, limit: int) -> None:
        self.overlong = 0
        self._end = end
        self._limit = limit
        self._rest: List[bytes] = []
        self._length = 0
        self._skipping = False

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""
        return 1 if self._skipping else self._length

    def feed(self, data: bytes) -> List[bytes]:
        """The messages that end in the next bytes."""
        first, *others = data.split(self._end)
        if not others:
            self._keep(first)
            return []
        found = [] if self._skipping else self._within([b"".join([*self._rest, first])])
        self._rest, self._length, self._skipping = [], 0, False
        found += self._within(others[:-1])
        self._keep(others[-1])
        return [message for message in found if message]

    def _within(self, messages: List[bytes]) -> List[bytes]:
        found = [message for message in messages if len(message) <= self._limit]
        self.overlong += len(messages) - len(found)
        return found

    def _keep(self, data: bytes) -> None:
        if self._skipping or not data:
            return
        self._rest.append(data)
        self._length += len(data)
        if self._length > self._limit:
            self.overlong += 1
            self._rest, self._length, self._skipping = [], 0, True


class OctetCounted:
    """RFC 6587, 3.4.1: each message has its length in decimal digits and a space before it."""

    def __init__(self, limit: int) -> None:
        self.overlong = 0
        self._limit = limit
        self._buffer = b""
        self._skip = 0

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""
        return len(self._buffer) or min(self._skip, 1)

    def feed(self, data: bytes) -> List[bytes]:
        """The messages that end in the next bytes.

        Raises:
            BadFrame: no length stands where one must.
        """
        passed = min(self._skip, len(data))
        self._skip -= passed
        self._buffer += data[passed:]
        found: List[bytes] = []
        at = 0
        while at < len(self._buffer):
            count = _COUNT.match(self._buffer, at)
            if count is None:
                if len(self._buffer) - at > 8 or not self._buffer[at:].isdigit():
                    raise BadFrame("no length before a syslog message")
                break
            end = count.end() + int(count[1])
            if int(count[1]) > self._limit:
                self.overlong += 1
                self._skip = max(end - len(self._buffer), 0)
            elif end > len(self._buffer):
                break
            else:
                found.append(self._buffer[count.end() : end])
            at = min(end, len(self._buffer))
        self._buffer = self._buffer[at:]
        return found


class SyslogLines:
    """RFC 6587, 3.4.2: messages that end with a line end.

    A line that begins with no priority goes on with the message before it, which then had several lines: it gets the
    head of that message, so that both are known to be of one writer.
    """

    def __init__(self, limit: int) -> None:
        self._lines = Delimited(b"\n", limit)
        self._head = b""

    @property
    def overlong(self) -> int:
        """Messages that were passed over since this was set to 0."""
        return self._lines.overlong

    @overlong.setter
    def overlong(self, count: int) -> None:
        self._lines.overlong = count

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""
        return self._lines.held

    def feed(self, data: bytes) -> List[bytes]:
        """The messages that end in the next bytes."""
        return [self._whole(line) for line in self._lines.feed(data.replace(b"\0", b"\n"))]

    def _whole(self, line: bytes) -> bytes:
        if _PRIORITY.match(line):
            self._head = _head(line)
            return line
        return self._head + line


class Syslog:
    """Syslog over a stream, in the framing that the beginning of the connection tells.

    A zero ends messages if there is one in what comes first: Python's `SysLogHandler` sends them so.
    """

    def __init__(self, limit: int) -> None:
        self.overlong = 0
        self._limit = limit
        self._frames: Optional[Frames] = None

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""
        return self._frames.held if self._frames is not None else 0

    def feed(self, data: bytes) -> List[bytes]:
        """The messages that end in the next bytes.

        Raises:
            BadFrame: the bytes are not what the framing allows.
        """
        if self._frames is None:
            self._frames = _syslog_frames(data, self._limit)
        found = self._frames.feed(data)
        self.overlong, self._frames.overlong = self.overlong + self._frames.overlong, 0
        return found


def _syslog_frames(data: bytes, limit: int) -> Frames:
    if data[:1].isdigit():
        return OctetCounted(limit)
    return Delimited(b"\0", limit) if b"\0" in data else SyslogLines(limit)


def _head(line: bytes) -> bytes:
    """What stands before the text of a syslog message, such that a text can be put behind it."""
    text = line[:_MAX_PREFIX].decode("utf-8", "replace")
    inner = opened(Line(text))
    if inner is None or not text.endswith(inner.text):
        return b""
    head = text[: len(text) - len(inner.text)]
    return (head if head.endswith((" ", ">")) else f"{head} ").encode()
