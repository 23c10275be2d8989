"""Fluentd's forward protocol, which Fluentd, Fluent Bit, Vector, Docker and the fluent-logger libraries speak.

Source: "Forward Protocol Specification v1" of the Fluentd project: a message is an array in MessagePack, in one of the
modes Message, Forward, PackedForward and CompressedPackedForward; one that names a `chunk` is acknowledged.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

import msgpack

from homeostasis_collect_logs.listening.framing import BadFrame
from homeostasis_collect_logs.listening.gelf import inflate

MAX_ENTRIES = 20_000
"""Entries of one array or map: an array is allocated with the length that its head claims."""
MAX_CHUNK_ID = 200
MAX_DEPTH = 20
_EVENT_TIME = struct.Struct(">II")
_Entry = Tuple[Dict[str, Any], Optional[float]]


@dataclass(frozen=True)
class Delivery:
    """One message of a client.

    Attributes:
        tag: what the client calls the stream of records.
        entries: records, each with seconds since the epoch if it has a time; None for what is no record. Read once.
        chunk: what is to be acknowledged, or None.
    """

    tag: str
    entries: Iterable[Optional[_Entry]]
    chunk: Any = None


class Forward:
    """Reads what one client sends, and says what is to be answered.

    Args:
        limit: bytes of the largest message, and of what it unpacks to.
        key: what the client must prove to know before its messages are taken; None takes them from anyone.
    """

    def __init__(self, limit: int, key: Optional[str] = None) -> None:
        self._limit = limit
        self._unpacker = _unpacker(limit)
        self._gate = Gate(key) if key is not None else None
        self._taken = 0
        self._fed = 0

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; at least 1 until the client has said who it is."""
        waiting = self._gate is not None and not self._gate.is_open
        return max(self._fed - self._taken, int(waiting))

    def greeting(self) -> bytes:
        """What the server says first."""
        return b"" if self._gate is None else self._gate.hello

    def feed(self, data: bytes) -> Tuple[List[Delivery], bytes]:
        """The messages that end in the next bytes, and what to answer at once.

        Raises:
            BadFrame: the bytes are none of this protocol, a message is too large, or the client does not know the key.
        """
        self._fed += len(data)
        found, answers = [], b""
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                self._taken = self._unpacker.tell()
                if self._gate is not None and not self._gate.is_open:
                    answers += self._gate.answer(message)
                elif isinstance(message, list):
                    found.append(_delivery(message, self._limit))
        except BadFrame:
            raise
        except Exception as error:  # msgpack's errors have no common base but this
            raise BadFrame(f"no message of the forward protocol: {type(error).__name__}") from error
        if self._fed - self._taken > self._limit:
            raise BadFrame(f"a message of the forward protocol of more than {self._limit} bytes")
        return found, answers


class Gate:
    """The handshake of the protocol with a shared key."""

    def __init__(self, key: str) -> None:
        self.is_open = False
        self._key = key.encode()
        self._nonce = secrets.token_bytes(16)
        self._host = "homeostasis"

    @property
    def hello(self) -> bytes:
        """The server's HELO."""
        return _packed(["HELO", {"nonce": self._nonce, "auth": b"", "keepalive": True}])

    def answer(self, ping: Any) -> bytes:
        """The server's PONG to the client's PING.

        Raises:
            BadFrame: it is no PING, or one without knowledge of the key.
        """
        if not (isinstance(ping, list) and len(ping) >= 4 and ping[0] == "PING"):
            raise BadFrame("no PING before the first message of the forward protocol")
        # Fluent Bit sends random bytes as a string.
        host, salt, digest = (_raw(each) if isinstance(each, (str, bytes)) else each for each in ping[1:4])
        if not all(isinstance(each, bytes) for each in (host, salt, digest)):
            raise BadFrame("a PING with other things than texts")
        expected = hashlib.sha512(salt + host + self._nonce + self._key).hexdigest().encode()
        if not hmac.compare_digest(expected, digest):
            raise BadFrame("a client of the forward protocol with another shared key")
        self.is_open = True
        mine = hashlib.sha512(salt + self._host.encode() + self._nonce + self._key).hexdigest()
        return _packed(["PONG", True, "", self._host, mine])


def acknowledgement(chunk: Any) -> bytes:
    """What tells a client that its chunk is durable."""
    return _packed({"ack": chunk})


def _packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def _unpacker(limit: int) -> Any:
    return msgpack.Unpacker(
        max_buffer_size=limit,
        max_array_len=MAX_ENTRIES,
        max_map_len=MAX_ENTRIES,
        max_ext_len=1024,
        raw=False,
        unicode_errors="surrogateescape",  # older clients send packed entries as a string
        strict_map_key=False,
    )


def _delivery(message: List[Any], limit: int) -> Delivery:
    if len(message) < 2:
        raise BadFrame("an array that is too short for the forward protocol")
    tag = _text(message[0])[:200]
    second = message[1]
    if isinstance(second, list):
        options, entries = _options(message, 2), map(_entry, second)
    elif isinstance(second, (bytes, str)):
        options = _options(message, 2)
        entries = map(_entry, _stream(second, options, limit))
    else:
        options, entries = _options(message, 3), map(_entry, [message[1:3]])
    return Delivery(tag, entries, _chunk(options))


def _options(message: List[Any], place: int) -> Dict[Any, Any]:
    return message[place] if len(message) > place and isinstance(message[place], dict) else {}


def _chunk(options: Dict[Any, Any]) -> Any:
    chunk = options.get("chunk")
    return chunk if isinstance(chunk, (str, bytes)) and 0 < len(chunk) <= MAX_CHUNK_ID else None


def _stream(packed: Union[bytes, str], options: Dict[Any, Any], limit: int) -> Iterator[Any]:
    """The entries of a packed message; None, as the last one, for what cannot be read."""
    data = _raw(packed)
    unpacker = _unpacker(limit)
    try:
        if options.get("compressed") == "gzip":
            data = inflate(data, limit)
        unpacker.feed(data)
        yield from unpacker
    except Exception:  # msgpack's errors have no common base but this
        yield None
        return
    if unpacker.tell() < len(data):
        yield None


def _entry(entry: Any) -> Optional[_Entry]:
    """Time and record of `[time, record]`; None if it is something else."""
    if not isinstance(entry, list) or len(entry) < 2:
        return None
    moment, record = entry[:2]
    if isinstance(moment, list) and moment:  # Fluent Bit since 2.1: [[time, metadata], record]
        moment = moment[0]
    if not isinstance(record, dict):
        return None
    return {_key(key): _plain(value) for key, value in record.items()}, _moment(moment)


def _moment(value: Any) -> Optional[float]:
    if isinstance(value, msgpack.ExtType) and value.code == 0 and len(value.data) == _EVENT_TIME.size:
        seconds, nanoseconds = _EVENT_TIME.unpack(value.data)
        return int(seconds) + min(int(nanoseconds), 10**9) / 1e9
    return float(value) if isinstance(value, (int, float)) and 0 < value < 1e11 else None


def _raw(value: Union[str, bytes]) -> bytes:
    """The bytes that came, whatever type they were said to be of."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON would have it: bytes are texts, and what is nested too deeply is left out."""
    if isinstance(value, (str, bytes)):
        return _text(value)
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {_key(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value]
    return value if value is None or isinstance(value, (int, float, bool)) else None


def _key(value: Any) -> str:
    return _text(value)[:1000] if isinstance(value, (str, bytes)) else str(value)[:100]
