"""Plain-text tracebacks become an `Event`.

Text holds no values, so the event says what is missing; what the project's own files tell about a frame is added.
Nothing that the text names is trusted before it was found on disk.
"""

from __future__ import annotations

import builtins
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, List, NamedTuple, Optional, Tuple

from homeostasis.errors import UsageError
from homeostasis.traceback_text import MAX_MESSAGE, TextException, parse

if TYPE_CHECKING:
    from homeostasis.collecting.revisions import Lines
    from homeostasis.models import Event, Raised
    from homeostasis.monitoring.redaction import Redactor
    from homeostasis.project import Project


def event_from_traceback(text: str, project: Project) -> Event:
    """The last traceback of a text, chained exceptions included, as an event of the project's service.

    Raises:
        UsageError: the text holds no complete traceback.
    """
    chains = parse(text)
    if not chains:
        raise UsageError("no Python traceback was found: give the text from 'Traceback (most recent call last):' on")
    losses = ["no request and no local variables: the event was read from text"]
    if len(chains) > 1:
        losses.append(f"{len(chains) - 1} earlier tracebacks of the text were left out")
    return event_from_chain(chains[-1], project, losses)


def event_from_chain(
    found: List[TextException],
    project: Project,
    losses: Iterable[str],
    *,
    redactor: Optional[Redactor] = None,
    lines: Optional[Lines] = None,
    **values: Any,
) -> Event:
    """One traceback, as `traceback_text.parse` gives it, as an event without secrets.

    Args:
        found: its exceptions, each with a name, at least one of them outside of any group.
        project: whose files complete the frames.
        losses: what is known to be missing already.
        redactor: takes the secrets out; by default one that knows those of the project.
        lines: gives the lines of the project's files as they were when the error happened, if that is known.
        values: further fields of the event, such as `timestamp` and `service`.
    """
    from homeostasis.models import Event
    from homeostasis.monitoring.fingerprint import fingerprint
    from homeostasis.monitoring.redaction import Redactor

    missing = list(losses)
    repeated = sum(item.repeated for item in found)
    if repeated:
        missing.append(f"{repeated} repeated frames of a recursion were left out")
    redactor = redactor or Redactor(project.config.monitoring.redact_names)
    exceptions = _link(found, _Completion(project, missing, redactor, lines))
    fields = {
        "id": uuid.uuid4().hex,
        "timestamp": time.time(),
        "service": project.config.service,
        "fingerprint": "",
        "exceptions": exceptions,
        "source": "traceback",
        "losses": tuple(dict.fromkeys(missing)),
        **values,
    }
    event = _as_script(Event.model_validate(fields), project)
    return event.model_copy(update={"fingerprint": fingerprint(event.model_dump(mode="json"))})


def _as_script(event: Event, project: Project) -> Event:
    """If the outermost frame is the body of a file of the app, that file was run as a script: say so, so that the run
    can be repeated. Its arguments are not in the text.
    """
    from homeostasis.models import Command

    outermost = event.raised.frames[0] if event.raised.frames else None
    if outermost is None or not outermost.in_app or outermost.function != "<module>":
        return event
    exceptions = tuple(
        raised.model_copy(
            update={
                "frames": tuple(
                    frame.model_copy(update={"module": "__main__"}) if frame.path == outermost.path else frame
                    for frame in raised.frames
                )
            }
        )
        for raised in event.exceptions
    )
    script = Path(outermost.path).relative_to(project.root).as_posix()
    losses = (*event.losses, f"{script} was run with arguments that are not known; it is repeated without any")
    command = Command(argv=("python", script))
    return event.model_copy(update={"exceptions": exceptions, "command": command, "losses": losses})


class _Completion(NamedTuple):
    """What the frames of one traceback are completed with, and what was found missing meanwhile."""

    project: Project
    losses: List[str]
    redactor: Redactor
    lines: Optional[Lines]


def _link(found: List[TextException], completion: _Completion) -> Tuple[Raised, ...]:
    """Order the exceptions so that the escaped one is first, and name each one's parent."""
    escaped = max(index for index, item in enumerate(found) if not item.member and item.depth == _depth(found))
    order = [escaped] + [index for index in range(len(found)) if index != escaped]
    place = {index: number for number, index in enumerate(order)}
    return tuple(
        _raised(found[index], _relation(found, index), place.get(_parent(found, index, escaped)), completion)
        for index in order
    )


def _depth(found: Iterable[TextException]) -> int:
    return min(item.depth for item in found if not item.member)


def _relation(found: List[TextException], index: int) -> str:
    item = found[index]
    return item.relation or ("member" if item.member else "raised")


def _parent(found: List[TextException], index: int, escaped: int) -> int:
    item = found[index]
    if index == escaped:
        return -1
    if item.relation:
        later = (n for n in range(index + 1, len(found)) if found[n].depth == item.depth)
        return next(later, escaped)
    earlier = (n for n in range(index - 1, -1, -1) if found[n].depth < item.depth)
    return next(earlier, escaped)


def _raised(item: TextException, relation: str, parent: Optional[int], completion: _Completion) -> Raised:
    from homeostasis.models import Raised
    from homeostasis.text_frames import to_frame

    project, losses, redactor, lines = completion
    module, name = split_name(item.name)
    message, notes = item.message, tuple(item.rest)
    if module != "builtins":
        # A class of the app may have a message of several lines; that of a built-in one has one: the rest are notes.
        message, notes = "\n".join([item.message, *item.rest]), ()
    frames = [frame for frame in item.frames if frame.function]
    return Raised.model_validate(
        {
            "type": name,
            "module": module,
            "message": redactor.text(message[:MAX_MESSAGE]),
            "notes": tuple(map(redactor.text, notes)),
            "frames": tuple(to_frame(frame, project, losses, redactor, lines) for frame in frames),
            "relation": relation,
            "parent": parent,
        }
    )


def split_name(dotted: str) -> Tuple[str, str]:
    """Module and qualified name of an exception class as a traceback prints it.

    `traceback` leaves the module away for built-ins and for `__main__`.
    """
    parts = dotted.split(".")
    if len(parts) == 1:
        return ("builtins" if hasattr(builtins, dotted) or dotted.endswith("ExceptionGroup") else "__main__"), dotted
    capital = next((n for n, part in enumerate(parts) if part[:1].isupper()), len(parts) - 1)
    local = parts.index("<locals>") - 1 if "<locals>" in parts else capital
    start = max(min(capital, local), 0)
    return ".".join(parts[:start]) or "__main__", ".".join(parts[start:])
