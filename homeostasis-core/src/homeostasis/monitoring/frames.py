"""Describes the frames of a traceback: where, in whose code, with which locals."""

from __future__ import annotations

import os
import site
import sysconfig
from types import CodeType, FrameType, FunctionType, ModuleType, TracebackType
from typing import Any, Dict, List, Optional, Tuple

from homeostasis.monitoring.classes import inherits
from homeostasis.monitoring.encode import Fields, Frame
from homeostasis.monitoring.objects import chains_in, describe_attributes
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.sources import lines_of, qualname_of
from homeostasis.monitoring.spans import span_of, text_of
from homeostasis.monitoring.values import describe_value, encodable

MAX_FRAMES = 64
"""Frames of one exception that are kept: a quarter from the outside, the rest from the crash."""
MAX_LOCALS = 50
FRAMES_WITH_LOCALS = 3
"""Innermost library frames whose locals are kept; those of the app's own frames always are."""
MAX_PLACES = 512
"""Places in the code that are remembered."""
MAX_CYCLE = 4
"""Longest cycle of mutual recursion that is recognised, in frames."""

OURS, APP, FOREIGN = "ours", "app", "foreign"
_OURS = ("homeostasis.monitoring", "homeostasis_flask", "homeostasis_fastapi")
_FOREIGN = ("site-packages", "dist-packages", "node_modules", ".homeostasis", "__pypackages__")
_OPTIMIZED = 0x1
_VARARGS, _VARKEYWORDS = 0x4, 0x8


class Boundary:
    """Tells the app's own files from all others.

    Args:
        root: the project's root; without one, the current directory.
    """

    def __init__(self, root: str | None) -> None:
        self.root = os.path.realpath(root or os.getcwd())
        self._cwd = os.getcwd()
        self._known: dict[str, tuple[bool, str]] = {}
        self.roles: dict[int, tuple[str, CodeType]] = {}
        """What `role` has found, by the id of the code; the entry holds the code, so that its id stays its own."""
        self.places: dict[tuple[int, int], _Place] = {}
        """Where frames have been, by the id of their code and the instruction."""
        known = sysconfig.get_paths()
        paths = [known.get(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
        self._foreign = tuple(os.path.realpath(path) + os.sep for path in [*paths, *_user_site()] if path)

    def look(self, filename: str) -> tuple[bool, str]:
        """Whether the file is the app's, and its path, made absolute where that is possible."""
        found = self._known.get(filename)
        if found is None:
            found = self._decide(filename)
            if len(self._known) < 4096:
                self._known[filename] = found
        return found

    def role(self, frame: FrameType) -> str:
        """Whose frame it is: `OURS`, `APP` or `FOREIGN`."""
        code = frame.f_code
        role = OURS if _ours(frame) else APP if self.look(code.co_filename)[0] else FOREIGN
        if len(self.roles) >= 4096:
            self.roles.clear()
        self.roles[id(code)] = role, code
        return role

    def _decide(self, filename: str) -> tuple[bool, str]:
        if not filename or filename.startswith("<"):
            return False, filename
        path = filename if os.path.isabs(filename) else os.path.join(self._cwd, filename)
        real = os.path.realpath(path)
        if not os.path.isabs(filename) and not os.path.exists(path):
            return False, filename
        inside = real.startswith(self.root.rstrip(os.sep) + os.sep)
        if not inside or real.startswith(self._foreign):
            return False, path
        parts = real[len(self.root) :].split(os.sep)
        return not (any(part in _FOREIGN for part in parts) or self._in_environment(parts)), path

    def _in_environment(self, parts: list[str]) -> bool:
        """Whether one of the directories below the root is a virtual environment."""
        directory = self.root
        for part in parts[1:-1]:
            directory = os.path.join(directory, part)
            if os.path.exists(os.path.join(directory, "pyvenv.cfg")):
                return True
        return False


def _user_site() -> list[str]:
    return [site.getusersitepackages()] if getattr(site, "ENABLE_USER_SITE", False) else []


class Entry:
    """One entry of a traceback, as light as the storm protection needs it."""

    __slots__ = ("code", "frame", "instruction", "line")

    def __init__(self, traceback: TracebackType) -> None:
        self.frame: FrameType = traceback.tb_frame
        self.code: CodeType = self.frame.f_code
        self.instruction: int = traceback.tb_lasti
        self.line: int = traceback.tb_lineno or self.code.co_firstlineno


def entries(traceback: TracebackType | None) -> list[Entry]:
    """The entries of a traceback, oldest first, without those of this package."""
    found = []
    while traceback is not None:
        if not _ours(traceback.tb_frame):
            found.append(Entry(traceback))
        traceback = traceback.tb_next
    return found


def _ours(frame: FrameType) -> bool:
    name = module_of(frame)
    return name is not None and name.startswith(_OURS)


def module_of(frame: FrameType) -> str | None:
    """`__name__` of the frame's globals."""
    names = frame.f_globals
    name = dict.get(names, "__name__")
    return name if type(name) is str else None


def _entries(traceback: TracebackType | None, boundary: Boundary) -> list[Entry]:
    """As `entries`, with what the storm protection has found out already."""
    found = []
    roles = boundary.roles
    while traceback is not None:
        known = roles.get(id(traceback.tb_frame.f_code))
        if (boundary.role(traceback.tb_frame) if known is None else known[0]) is not OURS:
            found.append(Entry(traceback))
        traceback = traceback.tb_next
    return found


_Lines = Optional[List[str]]
_Known = Dict[int, Tuple[Dict[str, Any], object]]
"""Described values by their id: arguments are passed on from frame to frame. An entry holds its value."""


def describe_frames(
    traceback: TracebackType | None, boundary: Boundary, redactor: Redactor, losses: list[str]
) -> list[dict[str, Any]]:
    """The fields of the `homeostasis.models.Frame`s of a traceback, oldest first; what is left out goes to `losses`."""
    kept = _bounded(_without_recursion(_entries(traceback, boundary), losses), losses)
    described: list[dict[str, Any]] = []
    known: _Known = {}
    crash: tuple[Entry, dict[str, Any], _Lines] | None = None
    for left, entry in enumerate(kept, -len(kept)):
        place = _place(entry, boundary, redactor)
        with_locals = place.in_app or left >= -FRAMES_WITH_LOCALS
        frame = Frame(place.fields, _locals(entry.frame, redactor, known) if with_locals else {})
        if place.in_app:
            crash = entry, frame, place.lines
        described.append(frame)
    if crash is not None:
        _look_inside(*crash, redactor)
    return described


def _look_inside(entry: Entry, described: dict[str, Any], lines: _Lines, redactor: Redactor) -> None:
    """Add what the objects of the failing expression hold themselves."""
    expression = text_of(described["span"], lines) if lines else ""
    names = entry.frame.f_locals
    for name, chains in chains_in(expression).items():
        found = described["locals"].get(name)
        if found is not None and not found.get("redacted"):
            attributes = describe_attributes(names[name], redactor, chains)
            if attributes:  # not into the value itself, which other frames may share
                described["locals"][name] = {**found, "attributes": attributes}


def _without_recursion(found: list[Entry], losses: list[str]) -> list[Entry]:
    if len({(id(entry.code), entry.line) for entry in found}) > len(found) - 3:
        return found  # the shortest cycle has one place four times
    kept: list[Entry] = []
    position = 0
    while position < len(found):
        period, repeats = _cycle(found, position)
        if repeats > 3:
            kept += found[position : position + period]
            last = position + (repeats - 2) * period
            losses.append(f"{last - position - period} repeated frames of a recursion")
            kept += found[last : last + 2 * period]
            position += repeats * period
        else:
            kept.append(found[position])
            position += 1
    return kept


def _cycle(found: list[Entry], position: int) -> tuple[int, int]:
    """Length and number of the repeats of a cycle that starts at the position."""
    for period in range(1, MAX_CYCLE + 1):
        repeats, at = 1, position + period
        while at + period <= len(found) and all(
            found[at + step].code is found[position + step].code
            and found[at + step].line == found[position + step].line
            for step in range(period)
        ):
            repeats, at = repeats + 1, at + period
        if repeats > 3:
            return period, repeats
    return 1, 1


def _bounded(found: list[Entry], losses: list[str]) -> list[Entry]:
    if len(found) <= MAX_FRAMES:
        return found
    losses.append(f"{len(found) - MAX_FRAMES} frames in the middle")
    outer = MAX_FRAMES // 4
    return found[:outer] + found[outer - MAX_FRAMES :]


class _Place:
    """Where a frame is: all of its description but the locals, and the lines of its file, if they are to be had."""

    __slots__ = ("_code", "fields", "in_app", "lines", "redactor")

    def __init__(self, code: CodeType, fields: dict[str, Any], lines: _Lines, redactor: Redactor) -> None:
        self._code = code  # held, so that its id stays its own
        self.fields = Fields(fields)
        self.in_app: bool = fields["in_app"]
        self.lines = lines if self.in_app else None
        self.redactor = redactor


def _place(entry: Entry, boundary: Boundary, redactor: Redactor) -> _Place:
    """Where a frame is.

    The outer frames are the same in most tracebacks. What was found once stays right for the code, whatever becomes of
    its file: a changed one makes other code. But the source of the app's own code is asked for until it is found.
    """
    key = (id(entry.code), entry.instruction)
    place = boundary.places.get(key)
    if place is None or place.redactor is not redactor:
        lines = lines_of(entry.code, entry.frame.f_globals)
        in_app, path = boundary.look(entry.code.co_filename)
        fields = _described_place(entry, path, redactor, lines, in_app=in_app)
        place = _Place(entry.code, fields, lines, redactor)
        if in_app and lines is None:
            return place
        if len(boundary.places) >= MAX_PLACES:
            boundary.places.clear()
        boundary.places[key] = place
    return place


def _described_place(entry: Entry, path: str, redactor: Redactor, lines: _Lines, *, in_app: bool) -> dict[str, Any]:
    code = entry.code
    line = lines[entry.line - 1] if lines and 0 < entry.line <= len(lines) else ""
    return {
        "path": encodable(path),
        "module": module_of(entry.frame),
        "function": code.co_name,
        "qualname": qualname_of(code, entry.frame.f_globals) if in_app else getattr(code, "co_qualname", None),
        "first_line": code.co_firstlineno,
        "span": span_of(code, entry.instruction, entry.line, lines, in_app=in_app),
        "source_line": redactor.source(line.strip())[:1000] or None,
        "in_app": in_app,
        "arguments": _arguments(code),
    }


def _arguments(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & _VARARGS) + bool(code.co_flags & _VARKEYWORDS)
    return [name for name in code.co_varnames[:count] if not name.startswith(".")]


def _locals(frame: FrameType, redactor: Redactor, known: _Known) -> dict[str, Any]:
    """Described locals, parameters first. Module frames show data only, not what the module imports and defines."""
    function = bool(frame.f_code.co_flags & _OPTIMIZED)
    names = frame.f_locals
    if not function and type(names) is not dict:
        return {}  # a class body with a mapping of its own: reading it would run code of the app
    described: dict[str, Any] = {}
    for name, value in list(names.items()):
        if type(name) is not str or name.startswith(".") or (not function and _is_definition(name, value)):
            continue
        if len(described) >= MAX_LOCALS:
            break
        seen = known.get(id(value))
        if seen is not None and not redactor.is_secret(name):
            described[name] = seen[0]
            continue
        described[name] = one = describe_value(value, redactor, name)
        if not one.get("redacted"):
            known[id(value)] = one, value
    return described


def _is_definition(name: str, value: object) -> bool:
    cls = type(value)
    return name.startswith("__") or cls is ModuleType or cls is FunctionType or inherits(cls, type)
