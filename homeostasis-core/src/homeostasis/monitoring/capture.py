"""Turns an exception into the fields of a `homeostasis.models.Event`."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Mapping

from homeostasis.monitoring.classes import mro, type_name
from homeostasis.monitoring.fingerprint import fingerprint
from homeostasis.monitoring.frames import Boundary, describe_frames
from homeostasis.monitoring.messages import attributes_of, message_of, notes_of, own_attribute
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.runtime import describe_runtime

MAX_EXCEPTIONS = 16
"""Exceptions of one event: causes, contexts and members together."""

_GROUPS = ("builtins.BaseExceptionGroup", "exceptiongroup.BaseExceptionGroup")
_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_suppressed = BaseException.__dict__["__suppress_context__"].__get__
_traceback = BaseException.__dict__["__traceback__"].__get__


def describe(
    exc: BaseException,
    *,
    project_root: str | None,
    service: str,
    request: Mapping[str, Any] | None = None,
    command: Mapping[str, Any] | None = None,
    handled: bool = False,
    redactor: Redactor | None = None,
    boundary: Boundary | None = None,
) -> dict[str, Any]:
    """The fields of an event, as JSON values: bytes are URL-safe base64.

    Args:
        exc: the exception that escaped, with its traceback.
        project_root: tells the app's frames from others; None means the current directory.
        service: name of the service.
        request: fields of the `homeostasis.models.Request` that was being answered.
        command: fields of the `homeostasis.models.Command` that crashed.
        handled: whether the app caught the exception itself and answered with an error.
        redactor: decides what is a secret; by default with the built-in names.
        boundary: saves working it out from `project_root` again.
    """
    redactor = redactor or Redactor()
    boundary = boundary or Boundary(project_root)
    losses: list[str] = []
    event: dict[str, Any] = {
        "id": os.urandom(16).hex(),
        "timestamp": time.time(),
        "service": service,
        "exceptions": _Chain(boundary, redactor, losses).describe(exc),
        "request": dict(request) if request else None,
        "command": dict(command) if command else None,
        "runtime": describe_runtime(threading.current_thread().name, redactor),
        "source": "monitoring",
        "handled": handled,
        "losses": losses,
    }
    event.update(_trace(event["request"]))
    event["fingerprint"] = fingerprint(event)
    return event


class _Chain:
    """Walks causes, contexts and members, each exception once."""

    def __init__(self, boundary: Boundary, redactor: Redactor, losses: list[str]) -> None:
        self._boundary = boundary
        self._redactor = redactor
        self._losses = losses
        self._found: list[dict[str, Any]] = []
        self._seen: set[int] = set()

    def describe(self, exc: BaseException) -> list[dict[str, Any]]:
        """The exception itself first; what belongs to it follows and names its parent."""
        waiting: list[tuple[BaseException, str, int | None, bool]] = [(exc, "raised", None, False)]
        while waiting:
            error, relation, parent, suppressed = waiting.pop(0)
            if id(error) in self._seen:
                continue
            if len(self._found) >= MAX_EXCEPTIONS:
                self._losses.append(f"{len(waiting) + 1} or more exceptions of the chain")
                break
            self._seen.add(id(error))
            self._found.append(self._one(error, relation, parent, suppressed))
            waiting += _related(error, len(self._found) - 1)
        return self._found

    def _one(self, error: BaseException, relation: str, parent: int | None, suppressed: bool) -> dict[str, Any]:
        module, name = type_name(type(error))
        return {
            "type": name,
            "module": module,
            "bases": [_dotted(base) for base in mro(type(error))[1:] if base is not object],
            "message": message_of(error, self._redactor),
            "notes": notes_of(error, self._redactor),
            "attributes": attributes_of(error, self._redactor),
            "frames": describe_frames(_traceback(error), self._boundary, self._redactor, self._losses),
            "relation": relation,
            "parent": parent,
            "suppressed": suppressed,
        }


def _related(error: BaseException, index: int) -> list[tuple[BaseException, str, int | None, bool]]:
    related: list[tuple[BaseException, str, int | None, bool]] = []
    cause, context = _cause(error), _context(error)
    if cause is not None:
        related.append((cause, "cause", index, False))
    if context is not None and context is not cause:
        related.append((context, "context", index, bool(_suppressed(error))))
    return related + [(member, "member", index, False) for member in members_of(error)]


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The members of an exception group, of Python 3.11 and later or of its backport; else nothing."""
    if not is_group(type(error)):
        return ()
    members: Any = ()
    for base in mro(type(error)):
        if type_name(base) == ("builtins", "BaseExceptionGroup"):
            members = base.__dict__["exceptions"].__get__(error)
        elif type_name(base) == ("exceptiongroup", "BaseExceptionGroup"):
            members = own_attribute(error, "_exceptions")
    return tuple(one for one in members if isinstance(one, BaseException)) if type(members) in (tuple, list) else ()


_groups: dict[int, tuple[bool, type]] = {}


def is_group(cls: type) -> bool:
    """Whether it is a class of exception groups."""
    known = _groups.get(id(cls))
    if known is None:
        names = [type_name(base) for base in mro(cls)]
        known = any(f"{module}.{name}" in _GROUPS for module, name in names), cls
        if len(_groups) < 1024:
            _groups[id(cls)] = known  # it holds the class, so that the id stays the class's own
    return known[0]


def is_single(error: BaseException) -> bool:
    """Whether it has no cause, no context and no members."""
    return _cause(error) is None and _context(error) is None and not is_group(type(error))


def root_cause(error: BaseException) -> BaseException:
    """The end of the chain of causes, first members and unsuppressed contexts."""
    if is_single(error):
        return error
    seen = {id(error)}
    while True:
        members = members_of(error)
        following = _cause(error) or (members[0] if members else None)
        if following is None and not _suppressed(error):
            following = _context(error)
        if following is None or id(following) in seen:
            return error
        error = following
        seen.add(id(error))


def _dotted(cls: type) -> str:
    module, name = type_name(cls)
    return name if module == "builtins" else f"{module}.{name}"


def _trace(request: dict[str, Any] | None) -> dict[str, Any]:
    """The ids of a W3C `traceparent` header."""
    for name, value in (request or {}).get("headers", ()):
        if name.lower() == "traceparent":
            parts = value.split("-")
            if len(parts) >= 4 and len(parts[1]) == 32 and len(parts[2]) == 16:
                return {"trace_id": parts[1], "span_id": parts[2]}
    return {"trace_id": None, "span_id": None}
