"""The tee: what was accepted is sent on to Sentry, in the background, as it came."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple, Type
from urllib.parse import urlsplit

import httpx
import orjson

from homeostasis.errors import ConfigError
from homeostasis_collect_http.endpoint import Refused, load_json

if TYPE_CHECKING:
    from homeostasis_collect_http.endpoint import Call

LOG = logging.getLogger("homeostasis.collect-sentry")
THREADS = 4
WAITS = (0.0, 1.0, 5.0)
"""Seconds before each try."""
MAX_WAIT = 60.0
"""Longest `Retry-After` that is waited for."""
MAX_BYTES = 32 * 1024 * 1024
"""What may wait, all together."""
TIMEOUT_SECONDS = 10.0
DRAIN_SECONDS = 2.0
FULL = "Sentry envelope that was not sent on: too many wait"
FAILED = "Sentry envelope that was not sent on: Sentry could not be reached"
REFUSED = "Sentry envelope that was not sent on: Sentry refused it"
ENDED = "Sentry envelope that was not sent on: the orchestrator ended"
_KEPT_HEADERS = ("content-type", "content-encoding", "user-agent")


class Target(NamedTuple):
    """A DSN, taken apart."""

    base: str
    project: str
    key: str

    @classmethod
    def of(cls, dsn: str, name: str) -> Target:
        """Read a DSN.

        Args:
            dsn: such as `https://key@host/1`.
            name: the environment variable that it came from.

        Raises:
            ConfigError: it is none. The message does not show it.
        """
        try:
            parts = urlsplit(dsn.strip())
            place, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
        except ValueError:
            parts, place, port = urlsplit(""), "", ""
        prefix, _, project = parts.path.rstrip("/").rpartition("/")
        if parts.scheme not in ("http", "https") or not place or not parts.username or not project:
            raise ConfigError(f"the environment variable {name} holds no DSN such as https://key@sentry.example.org/1")
        shown = f"[{place}]" if ":" in place else place
        return cls(f"{parts.scheme}://{shown}{port}{prefix}", project, parts.username)

    def url(self, kind: str) -> str:
        """Where calls go; `kind` is `envelope` or `store`."""
        return f"{self.base}/api/{self.project}/{kind}/"

    @property
    def dsn(self) -> str:
        """The DSN with the public key alone."""
        scheme, _, rest = self.base.partition("://")
        return f"{scheme}://{self.key}@{rest}/{self.project}"


class _Letter(NamedTuple):
    url: str
    headers: Dict[str, str]
    body: bytes


class Forwarder:
    """Sends calls on; a context manager around its threads. Nothing of it waits but they."""

    def __init__(self, target: Target, limit: int) -> None:
        self._target = target
        self._waiting: queue.Queue[_Letter] = queue.Queue(limit)
        self._bytes = 0
        self._lock = threading.Lock()
        self._losses: Dict[str, int] = {}
        self._stop = threading.Event()
        self._threads: List[threading.Thread] = []

    def __enter__(self) -> Forwarder:
        self._stop = stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(stop,), name="sentry-forward", daemon=True) for _ in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, failed: Optional[Type[BaseException]], *_: object) -> None:
        self._stop.set()
        end = time.monotonic() + DRAIN_SECONDS
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))
        if failed is None:  # else the collector is started again, and sends on what waits
            self._abandon()

    def _abandon(self) -> None:
        """Count what nobody sends any more."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._done(self._waiting.get_nowait(), ENDED)

    def take(self, call: Call, kind: str) -> None:
        """Have a call sent on, or count it if too many wait."""
        letter = self._letter(call, kind)
        with self._lock:
            room = self._bytes + len(letter.body) <= MAX_BYTES
        try:
            if not room:
                raise queue.Full
            self._waiting.put_nowait(letter)
        except queue.Full:
            self._lose(FULL)
            return
        with self._lock:
            self._bytes += len(letter.body)

    def losses(self) -> Dict[str, int]:
        """What was lost since the last call, by reason."""
        with self._lock:
            found, self._losses = self._losses, {}
        return found

    def _letter(self, call: Call, kind: str) -> _Letter:
        headers = {name: call.headers[name] for name in _KEPT_HEADERS if name in call.headers}
        client = call.headers.get("user-agent", "homeostasis")[:100].replace(",", " ")
        headers["x-sentry-auth"] = f"Sentry sentry_version=7, sentry_client={client}, sentry_key={self._target.key}"
        body = _readdressed(call.body, self._target.dsn) if kind == "envelope" else None
        if body is not None:
            headers.pop("content-encoding", None)
        return _Letter(self._target.url(kind), headers, call.raw if body is None else body)

    def _lose(self, reason: str) -> None:
        with self._lock:
            self._losses[reason] = self._losses.get(reason, 0) + 1

    def _done(self, letter: _Letter, problem: Optional[str]) -> None:
        with self._lock:
            self._bytes -= len(letter.body)
        if problem is not None:
            self._lose(problem)

    def _run(self, stop: threading.Event) -> None:
        with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
            while True:
                try:
                    letter = self._waiting.get(timeout=0.1)
                except queue.Empty:
                    if stop.is_set():
                        return
                    continue
                self._done(letter, _send(client, letter, stop))


def _send(client: httpx.Client, letter: _Letter, stop: threading.Event) -> Optional[str]:
    """Try a few times. Returns why it was not taken, if it was not."""
    wait, problem = 0.0, FAILED
    for pause in WAITS:
        if stop.wait(max(pause, wait)) and pause:
            return ENDED
        try:
            status, wait = _post(client, letter)
        except httpx.HTTPError as error:
            LOG.debug("an envelope could not be sent on: %s", type(error).__name__)
            continue
        if status < 300:
            return None
        problem = REFUSED
        if status != 429 and status < 500:
            break
    return problem


def _post(client: httpx.Client, letter: _Letter) -> Tuple[int, float]:
    """Status of the answer, and seconds after which to send again."""
    answer = client.post(letter.url, content=letter.body, headers=_encoded(letter.headers))
    after = answer.headers.get("retry-after", "")
    return answer.status_code, min(float(after), MAX_WAIT) if after.isdecimal() else 0.0


def _encoded(headers: Dict[str, str]) -> Dict[bytes, bytes]:
    """Headers as they came: what is no ASCII, httpx would not send."""
    return {name.encode("latin-1"): value.encode("latin-1", "replace") for name, value in headers.items()}


def _readdressed(body: bytes, dsn: str) -> Optional[bytes]:
    """The envelope with another DSN in its header; None if it has none there."""
    line, end, rest = body.partition(b"\n")
    if b'"dsn"' not in line:
        return None
    try:
        header = load_json(line)
    except Refused:
        return None
    if not isinstance(header, dict) or "dsn" not in header:
        return None
    return orjson.dumps({**header, "dsn": dsn}) + end + rest
