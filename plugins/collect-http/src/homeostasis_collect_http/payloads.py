"""Bodies as they come: decompressed and read as JSON within bounds."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any, Callable, Dict

import brotli
import orjson
import zstandard

from homeostasis_collect_http.calls import Refused

_LONGEST_INT, _LONGEST_NUMBER = 18, 300
"""Digits that are read exactly, and at all."""
_LARGEST_WINDOW = 1 << 23
_ENCODINGS = 3
"""Encodings of one body, one around the other."""


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its content encodings.

    Args:
        body: as it was sent.
        encoding: the header `Content-Encoding`.
        limit: bytes that it may have then.

    Raises:
        Refused: it is larger, broken, or the encoding is not known.
    """
    names = [name for name in (each.strip().lower() for each in encoding.split(",")) if name not in ("", "identity")]
    if len(names) > _ENCODINGS:
        raise Refused(415, f"{len(names)} content encodings around each other are not read")
    for name in reversed(names):
        unpack = _UNPACK.get(name)
        if unpack is None:
            raise Refused(415, f"content encoding {name[:40]!r} is not known: send one of {', '.join(_UNPACK)}")
        try:
            body = unpack(body, limit)
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
            raise Refused(400, f"the body is not one complete {name} stream") from error
        if len(body) > limit:
            raise Refused(413, f"the body is larger than {limit} bytes when it is decompressed")
    return body


def _zlib(body: bytes, limit: int, window: int = zlib.MAX_WBITS) -> bytes:
    stream = zlib.decompressobj(window)
    found = stream.decompress(body, limit + 1)
    if len(found) <= limit and (not stream.eof or stream.unused_data):
        raise EOFError  # also if a second stream follows: it is not dropped without a word
    return found


def _deflate(body: bytes, limit: int) -> bytes:
    try:
        return _zlib(body, limit)
    except zlib.error:  # without zlib's frame around it, as some send it
        return _zlib(body, limit, -zlib.MAX_WBITS)


def _brotli(body: bytes, limit: int) -> bytes:
    stream = brotli.Decompressor()
    found: bytes = stream.process(body, output_buffer_limit=limit + 1)
    while len(found) <= limit and not stream.is_finished():
        more: bytes = stream.process(b"", output_buffer_limit=limit + 1 - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _zstd(body: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(
        io.BytesIO(body), read_across_frames=True
    ) as stream:
        found: bytes = stream.read(limit + 1)
    return found


_UNPACK: Dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": lambda body, limit: _zlib(body, limit, zlib.MAX_WBITS | 16),
    "x-gzip": lambda body, limit: _zlib(body, limit, zlib.MAX_WBITS | 16),
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


def load_json(data: bytes) -> Any:
    """The value of a JSON text: nested less than 1,024 deep, strings without lone surrogates.

    Raises:
        Refused: it is none.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if b"\\u" not in data and b"NaN" not in data and b"Infinity" not in data:
            raise Refused(400, f"no JSON: {error}") from error
    try:
        # What Python's json writes and orjson does not read: NaN, and names of files that are no UTF-8.
        found = json.loads(data, parse_constant=lambda _: None, parse_int=_number)
        return orjson.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"no JSON: {error}") from error


def _number(digits: str) -> float:
    if len(digits) <= _LONGEST_INT:
        return int(digits)
    return float(digits) if len(digits) <= _LONGEST_NUMBER else 0.0
