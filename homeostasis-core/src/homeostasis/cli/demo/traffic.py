"""HTTP traffic for a running service: what to send is read from a file, and what comes back is looked at."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from homeostasis.errors import UsageError


@dataclass(frozen=True)
class Call:
    """A request, and which status codes are a proper answer to it (inclusive ranges)."""

    name: str
    method: str
    path: str
    body: Optional[bytes]
    accept: Tuple[Tuple[int, int], ...]

    def is_proper(self, answer: Answer) -> bool:
        """Whether the answer is one of those that the file accepts."""
        return any(low <= answer.status <= high for low, high in self.accept)


@dataclass(frozen=True)
class Answer:
    """What a service answered; status 0 if it did not."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The beginning of the body."""
        return self.body[:300].decode("utf-8", "replace").strip()


@dataclass(frozen=True)
class Traffic:
    """The healthy and the crashing requests of one service."""

    healthy: Tuple[Call, ...]
    crashing: Tuple[Call, ...]


def load_traffic(file: Path) -> Traffic:
    """Read `traffic.json`.

    Raises:
        UsageError: it does not exist or is malformed.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        healthy = [_call(item, [[item["status"], item["status"]]]) for item in document["healthy"]]
        crashing = [_call(item, item["accept"]) for item in document["crashing"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no traffic file: {type(error).__name__}: {error}") from error
    return Traffic(tuple(healthy), tuple(crashing))


def _call(item: Dict[str, Any], accept: List[List[int]]) -> Call:
    body = json.dumps(item["json"]).encode("utf-8") if "json" in item else None
    ranges = tuple((int(low), int(high)) for low, high in accept)
    return Call(item.get("name", f"{item['method']} {item['path']}"), item["method"], item["path"], body, ranges)


def send(port: int, call: Call, timeout: float = 15.0) -> Answer:
    """Send one request to 127.0.0.1 over a connection of its own, so that any worker may get it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Accept": "application/json", "Connection": "close"}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(call.method, call.path, call.body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException):
        return Answer(0, b"")
    finally:
        connection.close()
