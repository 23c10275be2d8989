"""`Case`: one exception of an event, laid over the source of the app."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Dict, Iterator, List, Tuple, Type
from weakref import WeakKeyDictionary

import libcst as cst

from homeostasis.errors import UnsafePath
from homeostasis.models import Event, Frame, Raised, Span, Value
from homeostasis.source import SourceTree, is_settled
from homeostasis_rules_python.code.tree import TREES, Tree, literal_of, subscript_key

MAX_LITERAL = 20_000
"""Longest captured repr that is read back, in characters."""
MAX_FILES = 400
"""Files of the app, beyond those of the traceback, that are searched for conventions."""

INNER = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"))
"""Frames of expressions, which stand in the frame of their function."""

_LISTED: WeakKeyDictionary[SourceTree, List[str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Site:
    """A frame of the app, found in its file."""

    index: int
    frame: Frame
    path: str
    tree: Tree
    span: Span
    function: cst.FunctionDef | None
    locals: Dict[str, Value] = field(hash=False)

    def nodes(self, *kinds: Type[cst.CSTNode]) -> List[cst.CSTNode]:
        """Nodes of the kinds that the frame's span may mean, the likeliest first."""
        return self.tree.at(self.span, kinds)

    def value(self, node: cst.CSTNode | None) -> Tuple[bool, Any]:
        """Whether the captured locals tell the value of an expression, and the value."""
        known, value = literal_of(node)
        if known:
            return True, value
        if isinstance(node, cst.Name) and node.value in self.locals:
            return read_value(self.locals[node.value])
        if isinstance(node, cst.Subscript):
            return self._item(node.value, subscript_key(node))
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "get":
            found = self._item(node.func.value, node.args[0].value if node.args else None)
            return found if found[0] or len(node.args) != 2 else self._default(node)
        return False, None

    def type_of(self, node: cst.CSTNode | None) -> str | None:
        """Name of the class of an expression's value, where the captured locals tell it."""
        if isinstance(node, cst.Name) and node.value in self.locals:
            return self.locals[node.value].type
        known, value = self.value(node)
        return type(value).__name__ if known else None

    def _default(self, call: cst.Call) -> Tuple[bool, Any]:
        """The default of `container.get(key, default)`, if the container is known and lacks the key."""
        container = call.func.value if isinstance(call.func, cst.Attribute) else None
        known = self.value(container)[0] and self.value(call.args[0].value)[0]
        return self.value(call.args[1].value) if known else (False, None)

    def _item(self, container: cst.CSTNode, key: cst.CSTNode | None) -> Tuple[bool, Any]:
        known, value = self.value(container)
        key_known, key_value = self.value(key)
        if known and key_known and isinstance(value, (dict, list, tuple, str)):
            try:
                return True, value[key_value]
            except (KeyError, IndexError, TypeError):
                return False, None
        return False, None


def read_value(value: Value) -> Tuple[bool, Any]:
    """Whether a captured value is complete, and the value."""
    if value.is_none:
        return True, None
    if not value.literal or value.repr is None or len(value.repr) > MAX_LITERAL:
        return False, None
    try:
        return True, ast.literal_eval(value.repr)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return False, None


class Case:
    """One exception with the frames of the app that were found in its source, innermost last."""

    def __init__(self, event: Event, number: int, source: SourceTree) -> None:
        """Look the frames up.

        Args:
            event: what happened.
            number: index into `event.exceptions`.
            source: the files.
        """
        self.event = event
        self.number = number
        self.raised: Raised = event.exceptions[number]
        self.source = source
        self.skipped: List[str] = []
        self.sites: Tuple[Site, ...] = tuple(self._sites())

    @property
    def crash(self) -> Site | None:
        """The innermost frame whose file may be edited."""
        return self.sites[-1] if self.sites else None

    def caller(self, site: Site) -> Site | None:
        """The next frame outwards that may be edited."""
        outer = [other for other in self.sites if other.index < site.index]
        return outer[-1] if outer else None

    def outwards(self, site: Site, most: int) -> List[Site]:
        """A frame and then those that called it, which may have handed on what it works with; `most` of them."""
        outer = [other for other in self.sites if other.index < site.index]
        return [site, *reversed(outer)][:most]

    def trees(self, containing: bytes = b"") -> Iterator[Tree]:
        """The files of the app that hold the bytes and may be edited: the traceback's, then at most `MAX_FILES`."""
        seen = []
        for site in reversed(self.sites):
            if site.path not in seen:
                seen.append(site.path)
                if containing in self.source.read(site.path):
                    yield site.tree
        for path in app_files(self.source):
            if containing not in searched(self.source, path) or path in seen or self.source.refusal(path):
                continue
            tree = tree_at(self.source, path)
            if tree is not None:
                yield tree

    def _sites(self) -> Iterator[Site]:
        found: List[Site] = []
        for index, frame in enumerate(self.raised.frames):
            site = self._site(index, frame)
            if site is None:
                continue
            if (
                frame.function in INNER
                and found
                and found[-1].function is site.function
                and found[-1].path == site.path
            ):
                # A comprehension below Python 3.12, or a lambda that a function calls itself: one site.
                outer = found.pop()
                site = Site(
                    index=outer.index,
                    frame=outer.frame,
                    path=site.path,
                    tree=site.tree,
                    span=site.span,
                    function=site.function,
                    locals={**outer.locals, **site.locals},
                )
            found.append(site)
        yield from found

    def _site(self, index: int, frame: Frame) -> Site | None:
        path = self.source.locate(frame)
        if path is None:
            return None
        refusal = self.source.refusal(path)
        if refusal is not None:
            self.skipped.append(f"{path} {refusal}")
            return None
        tree = tree_at(self.source, path)
        if tree is None:
            self.skipped.append(f"{path} cannot be parsed")
            return None
        span = _current_span(frame, self.source.read(path))
        if span is None:
            self.skipped.append(f"{path} changed since the crash")
            return None
        function = tree.function_at(span.line, frame.function)
        return Site(index, frame, path, tree, span, function, dict(frame.locals))


def tree_at(source: SourceTree, path: str) -> Tree | None:
    """The tree of a file (relative); None if it cannot be parsed."""
    try:
        return TREES.tree(path, source.read(path), lambda: source.module(path))
    except (cst.ParserSyntaxError, UnicodeDecodeError, RecursionError):
        return None


def app_files(source: SourceTree) -> List[str]:
    """The first `MAX_FILES` files of a tree, listed once for each tree."""
    if source not in _LISTED:
        _LISTED[source] = list(islice(source.python_files(), MAX_FILES))
    return _LISTED[source]


_SEARCHED: WeakKeyDictionary[SourceTree, Dict[str, bytes]] = WeakKeyDictionary()
_CONTENTS: Dict[str, Tuple[Tuple[int, ...], bytes]] = {}
"""Files by their absolute paths, with what tells that one is still the same."""
MAX_CONTENTS = 2 * MAX_FILES


def searched(source: SourceTree, path: str) -> bytes:
    """The bytes of a file (relative), to be searched only: they are read anew if size or time have changed.

    Empty for a file that has gone since it was listed, or cannot be read.
    """
    seen = _SEARCHED.setdefault(source, {})
    if path not in seen:
        try:
            seen[path] = _content(source, path)
        except (OSError, UnsafePath):
            seen[path] = b""
    return seen[path]


def _content(source: SourceTree, path: str) -> bytes:
    name = f"{source.root}{os.sep}{path}"
    found = os.lstat(name)
    stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    known = _CONTENTS.get(name)
    if known is not None and known[0] == stamp:
        return known[1]
    content = source.read(path)
    if is_settled(found):
        if len(_CONTENTS) >= MAX_CONTENTS:
            _CONTENTS.clear()
        _CONTENTS[name] = (stamp, content)
    return content


def _current_span(frame: Frame, content: bytes) -> Span | None:
    """The frame's span in the file as it is now; None if the line is gone or no longer unique."""
    span = frame.span
    if frame.source_line is None:
        return span
    # A form feed ends no line for Python, though it does for str.splitlines.
    text = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = [line.strip() for line in text.split("\n")]
    wanted = frame.source_line.strip()
    if 0 < span.line <= len(lines) and lines[span.line - 1] == wanted:
        return span
    places = [number for number, line in enumerate(lines, 1) if line == wanted]
    if len(places) != 1 or not wanted:
        return None
    shift = places[0] - span.line
    end = None if span.end_line is None else span.end_line + shift
    return span.model_copy(update={"line": span.line + shift, "end_line": end})
