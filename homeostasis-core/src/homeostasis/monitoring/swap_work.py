"""Finds out what a swap has to do in this process, and everything that speaks against it, before it is done."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Iterator

from homeostasis.monitoring.swap_module import Busy, Importing, Refused
from homeostasis.monitoring.swap_plan import Pair, Plan, make_plan, shape

if TYPE_CHECKING:
    from homeostasis.monitoring.live_functions import Survey

_MODULE_NAMES = ("__name__", "__package__", "__spec__", "__loader__", "__file__", "__path__", "__builtins__")


@dataclass(frozen=True)
class FileChange:
    """One file of a release.

    Attributes:
        path: real, absolute path.
        before: None if the release creates the file.
        after: the new text.
    """

    path: str
    before: bytes | None
    after: bytes

    @property
    def reverse(self) -> FileChange:
        """The way back. Call it only on a change that has a `before`."""
        return FileChange(self.path, self.after, self.before or b"")


@dataclass
class Work:
    """What is to be done for some files, found out before anything is done."""

    codes: list[tuple[FunctionType, CodeType]] = field(default_factory=list)
    changed: list[FunctionType] = field(default_factory=list)
    bindings: list[tuple[dict[str, Any], str, Any]] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)


def prepare(change: FileChange, survey: Survey, work: Work, undoing: bool) -> None:
    """Add to `work` what one file needs.

    Args:
        change: the file.
        survey: of the process, with this file.
        work: is added to; on a refusal it is to be thrown away.
        undoing: whether this is the way back: then a file that was never imported needs nothing.

    Raises:
        Refused: the change cannot be made in this process.
    """
    name = Path(change.path).name
    functions = survey.functions[change.path]
    if not name.endswith(".py"):
        raise Refused(f"{name} is not Python source")
    if change.before is None:
        if functions and not is_current(change, survey):
            raise Refused(f"{name} is new in the patch, but this worker has loaded another file of that name")
        return
    if not functions:
        if not undoing and not _on_disk(change):
            kind = Importing if change.path in survey.importing else Refused
            raise kind(f"{name} is not imported yet, and importing it would read the old text from the disk")
        return
    for group in _groups(functions):
        filename = group[0].__code__.co_filename
        plan = make_plan(change.before, change.after, filename)
        missing = _prepare_group(group, plan, work)
        if missing:
            kind = Importing if change.path in survey.importing else Refused
            raise kind(f"{missing[0].name}: the worker has no live function of it")
        _prepare_imports(group[0].__globals__, plan, work)
        work.texts[filename] = change.after
        work.modules.add(str(group[0].__globals__.get("__name__")))


def _groups(functions: list[FunctionType]) -> Iterator[list[FunctionType]]:
    """The functions by module; a file may be loaded twice, such as once as `__main__`."""
    groups: dict[tuple[int, str], list[FunctionType]] = {}
    for function in functions:
        groups.setdefault((id(function.__globals__), function.__code__.co_filename), []).append(function)
    return iter(groups.values())


def _prepare_group(group: list[FunctionType], plan: Plan, work: Work) -> list[Pair]:
    """Find the new code of each function; returns the pairs that no function belongs to, though one must."""
    by_name: dict[str, list[Pair]] = {}
    for pair in plan.pairs:
        by_name.setdefault(pair.old.co_name, []).append(pair)
    missing = {id(pair): pair for pair in plan.pairs if pair.changed and pair.outermost}
    for function in group:
        found = _pair_of(function, by_name)
        if found is None:
            continue
        missing.pop(id(found), None)
        if found.new is None or _same_text(function.__code__, found.new):
            continue
        if found.changed and shape(function.__code__) != shape(found.new):
            work.changed.append(function)
        work.codes.append((function, found.new))
    return list(missing.values())


def _pair_of(function: FunctionType, by_name: dict[str, list[Pair]]) -> Pair | None:
    """The pair whose old or new code a function runs.

    Raises:
        Refused: it is one of the functions to change, but runs something else, or must not be changed.
    """
    code = function.__code__
    known = by_name.get(code.co_name, [])
    if hasattr(code, "co_qualname"):
        known = [pair for pair in known if pair.old.co_qualname == code.co_qualname]
    mine = shape(code)
    old = [pair for pair in known if shape(pair.old) == mine]
    if old:
        pair = _nearest(old, code)
        if pair.problem is not None:
            kind = Busy if not pair.outermost else Refused
            raise kind(f"{pair.name}: {pair.problem}")
        return pair
    new = [pair for pair in known if pair.new is not None and shape(pair.new) == mine]
    if new:
        return _nearest(new, code)
    if any(pair.changed for pair in known):
        raise Refused(f"{function.__qualname__}: the worker runs other code than the file shows")
    return None


def _nearest(pairs: list[Pair], code: CodeType) -> Pair:
    exact = [pair for pair in pairs if pair.old.co_firstlineno == code.co_firstlineno] or pairs
    if len({shape(pair.new) for pair in exact if pair.new is not None}) > 1:
        raise Refused(f"{exact[0].name}: several functions of that name are alike and change differently")
    return exact[0]


def _same_text(live: CodeType, new: CodeType) -> bool:
    """Whether also the line numbers agree."""
    return live == new and live.co_firstlineno == new.co_firstlineno and _lines(live) == _lines(new)


def _lines(code: CodeType) -> bytes:
    return bytes(code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab)


def _prepare_imports(namespace: dict[str, Any], plan: Plan, work: Work) -> None:
    for statement, names in plan.imports:
        scratch = {name: namespace[name] for name in _MODULE_NAMES if name in namespace}
        try:
            exec(statement, scratch)  # noqa: S102 - an import statement of the validated patch, and nothing else
        except Exception as error:
            raise Refused(f"the worker cannot carry out a new import: {type(error).__name__}: {error}") from error
        for name in names:
            if name in vars(builtins):
                raise Refused(f"the new import of {name} would hide a built-in")
            if name in namespace and namespace[name] is not scratch[name]:
                raise Refused(f"the new import of {name} would hide something that the module has already")
            work.bindings.append((namespace, name, scratch[name]))


def is_current(change: FileChange, survey: Survey) -> bool:
    """Whether the live functions of a file do what the new text says; of one that is not loaded, whether it would.

    Raises:
        Refused: the text is not valid Python.
    """
    for group in _groups(survey.functions[change.path]):
        plan = make_plan(change.after, change.after, group[0].__code__.co_filename)
        shapes: dict[str, set[Any]] = {}
        for pair in plan.pairs:
            shapes.setdefault(pair.old.co_name, set()).add(shape(pair.old))
        for function in group:
            code = function.__code__
            if code.co_name in shapes and shape(code) not in shapes[code.co_name]:
                return False
    return bool(survey.functions[change.path]) or _on_disk(change)


def _on_disk(change: FileChange) -> bool:
    try:
        return Path(change.path).read_bytes() == change.after
    except OSError:
        return False
