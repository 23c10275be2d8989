"""The envelope of Sentry's protocol: a line of JSON, then items, each a line of JSON and a payload."""

from __future__ import annotations

from typing import Any, Dict, Iterator, NamedTuple

from homeostasis_collect_http.endpoint import Refused, load_json

MAX_ITEMS = 1000
BROKEN = "broken item of a Sentry envelope"


class Item(NamedTuple):
    """One item; its payload is not read yet."""

    type: str
    payload: bytes


class Envelope:
    """What comes in one call.

    Args:
        body: the whole call.

    Attributes:
        header: its first line.

    Raises:
        Refused: the first line is no JSON object.
    """

    def __init__(self, body: bytes) -> None:
        line, _, self._rest = body.partition(b"\n")
        header = load_json(line)
        if not isinstance(header, dict):
            raise Refused(400, "the first line of an envelope is a JSON object")
        self.header: Dict[str, Any] = header
        self.broken = 0
        """Items that could not be read, and all behind them; known once `items` is exhausted."""

    def items(self) -> Iterator[Item]:
        """The items in order, up to the first that is broken."""
        at, end = 0, len(self._rest)
        for _ in range(MAX_ITEMS):
            while self._rest[at : at + 1] == b"\n":
                at += 1
            if at >= end:
                return
            stop = _line_end(self._rest, at)
            try:
                header = load_json(self._rest[at:stop])
                kind, length = header["type"], header.get("length")
            except (Refused, TypeError, KeyError, AttributeError):
                break
            if type(length) is not int:
                length = max(_line_end(self._rest, stop + 1) - stop - 1, 0)
            if not isinstance(kind, str) or not 0 <= length <= max(end - stop - 1, 0):
                break
            at = stop + 1 + length
            yield Item(kind[:100], self._rest[stop + 1 : at])
        self.broken += 1


def _line_end(data: bytes, start: int) -> int:
    found = data.find(b"\n", start)
    return len(data) if found < 0 else found
