"""What a route is told of a call, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from homeostasis.collecting.crash import Crash
    from homeostasis.hookspecs import Sink

JSON = "application/json"


@dataclass(frozen=True)
class Call:
    """One HTTP request, complete, decompressed, with a token that is accepted.

    Attributes:
        path: as it was sent, still quoted, without the query.
        headers: by name in lower case; repeated ones are joined by `, `.
        body: without its content encodings.
        raw: the body as it came.
        client: IP address of the sender, empty if it is not known.
        names: what stood at the `{name}` segments of the route's path.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes = b""
    client: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One HTTP response. `headers` are further ones, besides length and type."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = JSON
    headers: Tuple[Tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Traffic:
    """Requests of the app's route that were answered; see `homeostasis.hookspecs.Sink.traffic`."""

    service: str
    route: str
    requests: int
    errors: int
    at: float
    seconds: float = 0.0
    buckets: Sequence[int] = ()


@dataclass
class Taken:
    """What was made of a call. The answer is sent when the rest is durable.

    Attributes:
        crashes: become events, or counts of known ones.
        others: put anything else; called within the batch.
        lost: how many records were dropped, by reason.
        records: how many the call held, for the statistics.
    """

    crashes: List[Crash] = field(default_factory=list)
    traffic: List[Traffic] = field(default_factory=list)
    others: List[Callable[[Sink], None]] = field(default_factory=list)
    lost: Dict[str, int] = field(default_factory=dict)
    records: int = 1
    answer: Answer = field(default_factory=Answer)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count records that were dropped."""
        self.lost[reason] = self.lost.get(reason, 0) + count


class Refused(Exception):
    """A call that is answered with an error of the client, of which nothing is kept."""

    def __init__(self, status: int, message: str, headers: Tuple[Tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def plain_refusal(refused: Refused) -> Answer:
    """The message as text."""
    return Answer(refused.status, f"{refused.message}\n".encode(), "text/plain; charset=utf-8", refused.headers)


def bearer_token(call: Call) -> Optional[str]:
    """The token of `Authorization: Bearer ...`."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True)
class Route:
    """What is called at a method and path.

    Attributes:
        path: with `{name}` for a segment that may be anything. A slash at the end does not matter.
        handler: makes something of a call; a `Refused` that it raises is answered. It runs in the thread of all
            connections, so that it must not wait for anything.
        token_of: the token that a call brings as this protocol has it. It sees the call without its body.
        refusal: how this protocol says no; also asked for 401, 413, 429 and the like.
        heard: name in the list of sources; that of the receiver by default.
        late_token: the token may stand in the body: `token_of` is asked once the body is there.
    """

    method: str
    path: str
    handler: Callable[[Call], Taken]
    token_of: Callable[[Call], Optional[str]] = bearer_token
    refusal: Callable[[Refused], Answer] = plain_refusal
    heard: str = ""
    late_token: bool = False
