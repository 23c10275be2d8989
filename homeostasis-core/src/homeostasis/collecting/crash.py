"""`Crash`: one crash as something else tells it, before anything was looked up in the project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, List, Optional, Tuple

from homeostasis.models import Runtime

if TYPE_CHECKING:
    from homeostasis.models import Breadcrumb, Request
    from homeostasis.traceback_text import TextException

NO_LOCALS = "no request and no local variables: the event was read from a log"
MAX_BREADCRUMBS = 50
"""What happened last before the exception is kept."""
MAX_FIELD = 200
"""Characters of a thread's name or an id that are kept."""


@dataclass
class Crash:
    """A chain of exceptions, and what the record around it says.

    Attributes:
        chain: in the order of a traceback's text, see `homeostasis.traceback_text.parse`.
        format: what wrote the record, such as `text`, `structlog` or `sentry`.
        start: offset in bytes at which what was read for it begins, if it was read from a stream.
        id: what tells this occurrence from others, or None. A second record of the same id is one that was sent again.
        moment: seconds since the epoch, or None if the record has no time.
        service: what the record says of its origin; the collector's setting overrides it.
        request: as the record has it; secrets are taken out later.
        revision: a commit, tag or release name of the code that ran, or None.
        handled: the app caught the exception and reported it itself.
        class_names_only: the record has the names of exception classes without their modules.
        breadcrumbs: what happened before, oldest first; secrets are taken out later.
        losses: what this format cannot say, a phrase each.
        complete: adds what takes long to read, such as local variables; called once, if an event is made of the crash.
    """

    chain: List[TextException]
    format: str = "text"
    start: int = 0
    id: Optional[str] = None
    moment: Optional[float] = None
    thread: Optional[str] = None
    trace_id: Optional[str] = None
    span_id: Optional[str] = None
    service: Optional[str] = None
    request: Optional[Request] = None
    runtime: Runtime = field(default_factory=Runtime)
    revision: Optional[str] = None
    handled: bool = False
    class_names_only: bool = False
    breadcrumbs: Tuple[Breadcrumb, ...] = ()
    losses: Tuple[str, ...] = ()
    complete: Optional[Callable[[Crash], None]] = None


def relate(chain: List[TextException]) -> None:
    """Say how each exception, the oldest first, led to the next, by the line that raised that: the record does not."""
    for item, later in zip(chain, chain[1:]):
        source = later.frames[-1].source if later.frames else []
        item.relation = "cause" if source and " from " in source[0] else "context"


def is_whole(chain: List[TextException]) -> bool:
    """Whether there is an exception that escaped, with a name."""
    return any(item.name and not item.member for item in chain)
