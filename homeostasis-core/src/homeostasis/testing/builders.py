"""Events, incidents and patches for tests: made by crashing real code, or by hand where none could make them."""

from __future__ import annotations

import linecache
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from homeostasis.models import Effect, Event, FileEdit, Frame, Incident, Patch, Raised, Request, Span, Value

if TYPE_CHECKING:
    from homeostasis.project import Project


def crash(project: Project, code: str, *, request: Request | None = None) -> Event:
    """The event of an exception that `code` raises when it runs in the project's root.

    Args:
        project: its root comes first on `sys.path` meanwhile; modules that are imported from it are forgotten again.
        code: Python that raises, such as `import shop; shop.total({})`.
        request: the HTTP request that shall have led to it.

    Raises:
        AssertionError: nothing was raised.
    """
    from homeostasis.monitoring.capture import describe

    with _importable(project.root):
        try:
            exec(compile(code, "<crash>", "exec"), {"__name__": "__main__"})  # noqa: S102  # the test's own code
        except Exception as error:
            captured = describe(error, project_root=str(project.root), service=project.config.service)
        else:
            raise AssertionError(f"nothing was raised by: {code}")
    event = Event.model_validate(captured)
    return event.model_copy(update={"request": request}) if request else event


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    before, writes = list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(root))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = before, writes
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and root in Path(file).parents:
                del sys.modules[name]
        linecache.clearcache()


def traceback_of(event: Event) -> str:
    """The exception that escaped, as Python prints it: without its causes, and without a line end."""
    lines = ["Traceback (most recent call last):"]
    for frame in event.raised.frames:
        lines += [f'  File "{frame.path}", line {frame.span.line}, in {frame.function}', f"    {frame.source_line}"]
    return "\n".join([*lines, f"{event.raised.dotted}: {event.raised.message}"])


def stranger(*paths: str, type: str = "UnheardOfError", message: str = "what is this?") -> Event:  # noqa: A002
    """An event by hand: an exception of an unknown class, with one frame in each of `paths`, which need not exist."""
    frames = tuple(
        Frame(
            path=path, module="stranger", function="work", span=Span(line=1, column=0, end_column=4), source_line="work"
        )
        for path in paths
    )
    raised = Raised(type=type, module="stranger", message=message, frames=frames)
    return Event(id=uuid.uuid4().hex, timestamp=1_700_000_000.0, fingerprint="f" * 16, exceptions=(raised,))


def incident_of(event: Event, *healthy: Request, count: int = 1) -> Incident:
    """The incident that an event opens, with requests that were answered well."""
    return Incident(
        id=f"incident-{event.fingerprint}",
        fingerprint=event.fingerprint,
        service=event.service,
        event=event,
        count=count,
        first_seen=event.timestamp,
        last_seen=event.timestamp,
        healthy=healthy,
    )


def value_of(value: Any) -> Value:
    """A plain value as the monitoring would describe it."""
    kind = type(value)
    sized = isinstance(value, (str, bytes, list, tuple, dict, set, frozenset))
    return Value(
        type=kind.__qualname__,
        module=kind.__module__,
        repr=repr(value),
        literal=value is None or sized or isinstance(value, (bool, int, float, complex)),
        length=len(value) if sized else None,
        keys=tuple(repr(key) for key in value) if isinstance(value, dict) else None,
    )


def patch_of(edits: Mapping[str, tuple[bytes | None, bytes]], **fields: Any) -> Patch:
    """A patch by hand: path to the bytes before (None for a new file) and after. `fields` override the patch's own."""
    known: dict[str, Any] = {
        "id": f"patch-{uuid.uuid4().hex[:8]}",
        "rule_id": "by-hand",
        "effect": Effect.CORRECT,
        "summary": f"Change {' and '.join(edits)}",
    }
    changed = tuple(FileEdit(path=path, before=before, after=after) for path, (before, after) in edits.items())
    return Patch(edits=changed, **{**known, **fields})
