"""The exceptions of a Sentry event, in the order in which Python prints them."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from homeostasis.collecting.crash import relate
from homeostasis.collecting.fields import items, table, text, within
from homeostasis.traceback_text import MAX_EXCEPTIONS, MAX_FRAMES, MAX_LINE, MAX_MESSAGE, TextException, TextFrame

_DEPTH = 10
_MAX_PATH, _MAX_NAME = 4096, 500
_LAST_LINE = 10**9
_RELATIONS = {"__cause__": "cause", "__context__": "context"}


class Chain:
    """The exceptions of an event; `frames` pairs each frame with the local variables as the event has them."""

    def __init__(self, event: Dict[str, Any]) -> None:
        values = [each for each in values_of(event.get("exception"))[-MAX_EXCEPTIONS:] if isinstance(each, dict)]
        self.frames: List[Tuple[TextFrame, Dict[str, Any]]] = []
        self.handled = within(values[-1], "mechanism", "handled") is True if values else False
        tree = _Tree(values)
        self.exceptions: List[TextException] = self._tree(tree) if tree.known else self._line(values)

    def _line(self, values: List[Dict[str, Any]]) -> List[TextException]:
        """The oldest cause first; whether one is a cause or a context stands in the line that raised the next."""
        found = [self._exception(value) for value in values]
        relate(found)
        return found

    def _tree(self, tree: _Tree, number: int = 0, depth: int = 0) -> List[TextException]:
        """An exception with its cause before it and its members behind it."""
        found: List[TextException] = []
        older, members = tree.children(number)
        for relation, cause in older:
            found += self._tree(tree, cause, depth)
            _latest(found, depth).relation = relation
        item = self._exception(tree.values[number])
        item.depth = 2 * depth
        item.member = depth > 0
        for earlier in found:
            if earlier.depth == item.depth and earlier.relation:
                earlier.member = False
        found.append(item)
        for member in members if depth < _DEPTH else ():
            found += self._tree(tree, member, depth + 1)
        return found

    def _exception(self, value: Dict[str, Any]) -> TextException:
        module, kind = text(value.get("module"), _MAX_NAME), text(value.get("type"), _MAX_NAME)
        known = [self._frame(each) for each in items(within(value, "stacktrace", "frames"))[-MAX_FRAMES:]]
        return TextException(
            name=f"{module}.{kind}" if module and module != "builtins" and kind else kind,
            message=text(value.get("value"), MAX_MESSAGE),
            frames=[frame for frame in known if frame is not None],
        )

    def _frame(self, value: Any) -> Optional[TextFrame]:
        if not isinstance(value, dict):
            return None
        path, line, function = (
            value.get("abs_path") or value.get("filename"),
            value.get("lineno"),
            value.get("function"),
        )
        if not isinstance(path, str) or type(line) is not int or not isinstance(function, str):
            return None
        frame = TextFrame(path[:_MAX_PATH], min(max(line, 0), _LAST_LINE), function[:_MAX_NAME])
        shown = value.get("context_line")
        if isinstance(shown, str) and shown.strip():
            frame.source = [shown[:MAX_LINE]]
        if isinstance(value.get("vars"), dict):
            self.frames.append((frame, value["vars"]))
        return frame


class _Tree:
    """Values that name their parents, as the SDK writes them if there is an exception group."""

    def __init__(self, values: List[Dict[str, Any]]) -> None:
        self.values: Dict[int, Dict[str, Any]] = {}
        self._children: Dict[int, List[int]] = {}
        for value in values:
            number = within(value, "mechanism", "exception_id")
            if type(number) is int:
                self.values.setdefault(number, value)
        self.known = len(self.values) == len(values) > 0 and 0 in self.values
        for number in sorted(self.values):
            self._children.setdefault(self._parent(number), []).append(number)

    def _parent(self, number: int) -> int:
        """Numbers are given depth first and parents before children, so that a parent's is always the lower one."""
        mechanism = table(self.values[number].get("mechanism"))
        parent = mechanism.get("parent_id")
        if mechanism.get("source") in _RELATIONS:  # the SDK leaves their parent at 0; they come right behind it
            parent = number - 1
        return parent if type(parent) is int and 0 <= parent < number else -1

    def children(self, number: int) -> Tuple[List[Tuple[str, int]], List[int]]:
        """Cause or context with its relation, and members."""
        older, members = [], []
        for child in self._children.get(number, ()):
            relation = _RELATIONS.get(text(within(self.values[child], "mechanism", "source"), _MAX_NAME))
            if relation is None:
                members.append(child)
            else:
                older.append((relation, child))
        return older[:1], members


def values_of(value: Any) -> List[Any]:
    """The list itself, or that in `values`: Sentry's protocol has both."""
    return items(value.get("values") if isinstance(value, dict) else value)


def _latest(found: List[TextException], depth: int) -> TextException:
    """The last exception at a depth: members of a group stand behind it."""
    return next(item for item in reversed(found) if item.depth == 2 * depth)
