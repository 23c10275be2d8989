"""Decides whether two texts of a module differ in function bodies only, and pairs their code objects.

A body can be replaced in a running process; a signature, decorator, class attribute or module-level statement cannot,
because it did its work when the module was imported. The one exception are imports that the new bodies need: these are
carried out late. Everything else is refused with the reason, and the caller falls back to a reload.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from types import CodeType
from typing import Any, Iterator

from homeostasis.monitoring.swap_module import Headers, Refused, added_imports, header_difference, take_bodies_out

_CALL_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)


@dataclass(frozen=True)
class Pair:
    """A function's code in the old and in the new text. Both are compiled under the live file name.

    Attributes:
        path: names of the classes and functions around it, and its own.
        new: None if the new text has no such function any more.
        changed: whether the two do something different, their inner functions included.
        outermost: whether no other function is around it, so that it must exist once the module was imported.
        problem: why a live function of the old code must not get the new code; None if it may.
    """

    path: tuple[str, ...]
    old: CodeType
    new: CodeType | None
    changed: bool
    outermost: bool
    problem: str | None

    @property
    def name(self) -> str:
        """The qualified name, for people."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Plan:
    """How to get from the old text of one file to the new one.

    Attributes:
        pairs: all functions of the old text.
        imports: import statements to carry out first, and the names that each of them binds.
    """

    pairs: tuple[Pair, ...]
    imports: tuple[tuple[CodeType, tuple[str, ...]], ...]


def make_plan(before: bytes, after: bytes, filename: str) -> Plan:
    """Compare two texts of a module.

    Args:
        before: the text that the worker is believed to run.
        after: the text that it shall run.
        filename: as the live code objects name it.

    Raises:
        Refused: one of the texts is not valid Python, or more than function bodies differs.
    """
    old_tree, old_code = _compile(before, filename)
    new_tree, new_code = _compile(after, filename)
    comparison = _Comparison(take_bodies_out(old_tree), take_bodies_out(new_tree))
    imports = added_imports(old_tree, new_tree, filename)
    pairs = tuple(_pair_children((), old_code, new_code, False, comparison))
    for pair in pairs:
        if pair.changed and pair.outermost and pair.problem is not None:
            raise Refused(f"{pair.name}: {pair.problem}")
    return Plan(pairs, imports)


def _compile(content: bytes, filename: str) -> tuple[ast.Module, CodeType]:
    try:
        tree = ast.parse(content, filename)
        return tree, compile(content, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refused(f"{filename} is not valid for this worker's Python: {error}") from error


# --- the functions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Comparison:
    old_headers: Headers
    new_headers: Headers

    def header_problem(self, path: tuple[str, ...]) -> str | None:
        """How the definitions at a path differ, their bodies aside."""
        old, new = self.old_headers.get(path, []), self.new_headers.get(path, [])
        if sorted(map(ast.dump, old)) == sorted(map(ast.dump, new)):
            return None
        if len(old) == len(new) == 1:
            return header_difference(old[0], new[0])
        return "its signature, defaults or decorators change"


def _pair_children(
    path: tuple[str, ...], old: CodeType, new: CodeType | None, inside: bool, comparison: _Comparison
) -> Iterator[Pair]:
    """Pair the code objects within two code objects; `inside` says whether these belong to a function."""
    mine, theirs = children(old), children(new) if new is not None else []
    if not inside and [code.co_name for code in mine] != [code.co_name for code in theirs]:
        raise Refused("its functions cannot be told apart: several on one line are alike")
    matched = zip(mine, theirs) if not inside else _match(mine, theirs)
    for old_code, new_code in matched:
        function = is_function(old_code)
        own_path = path if _nameless(old_code) else (*path, old_code.co_name)
        if function:
            yield Pair(
                own_path,
                old_code,
                new_code,
                changed=new_code is None or shape(old_code) != shape(new_code),
                outermost=not inside,
                problem=_problem(own_path, old_code, new_code, comparison),
            )
        yield from _pair_children(own_path, old_code, new_code, inside or function, comparison)


def _match(mine: list[CodeType], theirs: list[CodeType]) -> Iterator[tuple[CodeType, CodeType | None]]:
    """Match the code objects within a changed function: the same ones first, then the only ones left of a name."""
    left = list(theirs)
    open_ones: list[CodeType] = []
    for code in mine:
        same = next((other for other in left if shape(other) == shape(code)), None)
        if same is None:
            open_ones.append(code)
        else:
            left.remove(same)
            yield code, same
    for code in open_ones:
        peers = [other for other in open_ones if other.co_name == code.co_name]
        candidates = [other for other in left if other.co_name == code.co_name]
        yield code, candidates[0] if len(peers) == len(candidates) == 1 else None


def _problem(path: tuple[str, ...], old: CodeType, new: CodeType | None, comparison: _Comparison) -> str | None:
    if new is None:
        return "the new text has no counterpart of this inner function, and the worker still uses it"
    if _kind(old) != _kind(new):
        return f"its kind changes from {_kind(old)} to {_kind(new)}"
    header = comparison.header_problem(path)
    if header is not None:
        return header
    if old.co_freevars != new.co_freevars:
        return f"its body uses other variables of the functions around it ({', '.join(new.co_freevars) or 'none'})"
    return None if signature(old) == signature(new) else "its signature changes"


def _kind(code: CodeType) -> str:
    if code.co_flags & inspect.CO_ASYNC_GENERATOR:
        return "async generator"
    if code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE):
        return "coroutine"
    return "generator" if code.co_flags & inspect.CO_GENERATOR else "function"


def children(code: CodeType) -> list[CodeType]:
    """The code objects among the constants of another one, in the order of the text."""
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def is_function(code: CodeType) -> bool:
    """Whether a function object may run this code: it is no class body, module or comprehension."""
    optimized = bool(code.co_flags & inspect.CO_OPTIMIZED)
    return optimized and (not code.co_name.startswith("<") or code.co_name == "<lambda>")


def _nameless(code: CodeType) -> bool:
    return code.co_name.startswith("<") and code.co_name != "<lambda>"


def signature(code: CodeType) -> tuple[Any, ...]:
    """What a caller relies on, as far as code tells it."""
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _CALL_FLAGS)
    extra = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return (*counts, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + extra])


def shape(code: CodeType) -> tuple[Any, ...]:
    """What a code object does, without file name and line numbers: equal shapes behave alike."""
    return (
        code.co_name,
        signature(code),
        code.co_flags,
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        getattr(code, "co_exceptiontable", b""),
        tuple(_constant(value) for value in code.co_consts),
    )


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return shape(value)
    if isinstance(value, tuple):
        return ("tuple", *(_constant(item) for item in value))
    if isinstance(value, frozenset):
        return ("frozenset", frozenset(_constant(item) for item in value))
    return (type(value).__name__, repr(value))
