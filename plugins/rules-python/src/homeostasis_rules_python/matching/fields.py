"""The fields that conditions may ask about, each compiled once to a function of a view.

===================  ================================================================================
`exception.X`        `type`, `dotted`, `module`, `bases`, `message`, `notes`, `attributes.NAME`, `relation`
`exceptions.N.X`     the same of the N-th exception of the chain, `*` for any of them
`frame.X`            the innermost frame that may be edited: `path`, `module`, `function`, `in_app`, ...
`frames.N.X`         the N-th frame, outermost first, negative from the innermost, `*` for any of them
`locals.NAME`        the class of a variable; `.length`, `.keys`, `.shape`, `.dtype`, `.repr`, `.is_none`
`request.X`          `method`, `path`, `route`, `query`, ...
`runtime.X`          `python`, `frameworks.flask`, ...
`framework`          of the handler around the crash, else of the request
`module`, `service`  of the frame, of the event
`node.X`             the failing syntax node: `kind`, `code`, `parent` and `around` (kinds), `statement`, `role`
                     (how the parent holds it, such as `value`), `in_loop`, `in_try`, `in_async`, `function`,
                     `class`, `decorators`
`extraction.X`       what the extractor of the error knows
===================  ================================================================================

A field with `*` gives several values; a comparison holds if it holds for one of them.
"""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Sequence, Set, Tuple, Type

import libcst as cst
from pydantic import BaseModel

from homeostasis.models import Frame, Raised, Request, Runtime, Value
from homeostasis_rules_python.code.tree import dotted_name

if TYPE_CHECKING:
    from homeostasis_rules_python.facts import Facts
    from homeostasis_rules_python.matching.view import View

MISSING = object()
"""Given for a field that is not known."""

Getter = Callable[["View"], Any]


class Several(List[Any]):
    """The values of a field with `*`."""


_MODELS: Dict[str, Type[BaseModel]] = {
    "exception": Raised,
    "exceptions": Raised,
    "frame": Frame,
    "frames": Frame,
    "locals": Value,
    "request": Request,
    "runtime": Runtime,
}


def effort(field: str) -> int:
    """What a field costs: 0 nothing, 1 the frames are laid over the source, 2 the failing expression is studied."""
    root = field.partition(".")[0]
    return {"frame": 1, "module": 1, "locals": 1, "node": 2, "extraction": 2, "framework": 2}.get(root, 0)


@lru_cache(maxsize=16384)
def getter(field: str) -> Getter:
    """The function that reads a field from a view; it gives `MISSING` for what is not known."""
    root, _dot, rest = field.partition(".")
    parts = tuple(rest.split("."))
    if root == "extraction":
        return lambda view: _known(view.facts.values.get(rest)) if view.facts is not None else MISSING
    if root == "exception":
        return lambda view: descend(view.raised, parts)
    if root == "exceptions":
        return lambda view: _numbered(view.event.exceptions, parts)
    if root == "frames":
        return lambda view: _numbered(view.raised.frames, parts)
    if root == "frame":
        return lambda view: descend(view.frame, parts)
    if root == "locals":
        return lambda view: _local(view, parts)
    if root == "node":
        return lambda view: _node(view.facts, rest) if view.facts is not None else MISSING
    if root in ("request", "runtime"):
        return lambda view: descend(getattr(view.event, root), parts)
    plain = {"framework": _framework, "module": _module, "service": lambda view: view.event.service}
    return plain.get(root, lambda _view: MISSING)


def unknown_part(field: str) -> Tuple[str, List[str]] | None:
    """The first part of a field that can never exist, and those that could stand there; None if there is none.

    What comes below `extraction`, a dict or a variable's name is not known before an event comes.
    """
    root, _dot, rest = field.partition(".")
    parts = rest.split(".") if rest else []
    if root == "node":
        return None if rest in _NODE else (rest, sorted(_NODE))
    if root in ("exceptions", "frames"):
        if not parts or not re.match(r"-?\d+\Z|\*\Z", parts[0]):
            return (parts[0] if parts else "", ["0", "-1", "*"])
        parts = parts[1:]
    elif root == "locals":
        parts = parts[1:]
    model = _MODELS.get(root)
    if model is None or not parts or _is_field(model, parts[0]):
        return None
    return parts[0], sorted({*model.model_fields, *(name for name in vars(model) if _is_field(model, name))})


def local_value(field: str) -> Getter | None:
    """For `locals.NAME` the function that gives the captured value itself; None for other fields."""
    root, _dot, name = field.partition(".")
    if root != "locals" or "." in name:
        return None
    return lambda view: view.locals.get(name, MISSING)


def descend(owner: Any, parts: Iterable[str]) -> Any:
    """Follow names through the fields of models and the keys of dicts; nothing else is ever read."""
    for part in parts:
        if isinstance(owner, dict):
            owner = owner.get(part, MISSING)
        elif owner is not None and _is_field(type(owner), part):
            owner = getattr(owner, part)
        else:
            return MISSING
        if owner is MISSING:
            return MISSING
    return _known(owner)


_FIELDS: Set[Tuple[type, str]] = set()
"""Classes with the names of their fields that were asked for; what is no field is not kept."""


def _is_field(kind: type, name: str) -> bool:
    if (kind, name) in _FIELDS:
        return True
    plain = not name.startswith(("_", "model_")) and isinstance(getattr(kind, name, None), property)
    found = name in getattr(kind, "model_fields", ()) or plain
    if found:
        _FIELDS.add((kind, name))
    return found


def _known(value: Any) -> Any:
    return MISSING if value is None else value


def _numbered(items: Sequence[Any], parts: Sequence[str]) -> Any:
    place, rest = parts[0], parts[1:]
    if place == "*":
        return Several(value for value in (descend(item, rest) for item in items) if value is not MISSING) or MISSING
    try:
        return descend(items[int(place)], rest)
    except (ValueError, IndexError):
        return MISSING


def _local(view: View, parts: Sequence[str]) -> Any:
    value = view.locals.get(parts[0])
    if value is None:
        return MISSING
    return value.type if len(parts) == 1 else descend(value, parts[1:])


def _framework(view: View) -> Any:
    if view.facts is not None and view.facts.values.get("framework"):
        return view.facts.values["framework"]
    return _known(view.event.request.framework) if view.event.request is not None else MISSING


def _module(view: View) -> Any:
    return _known(view.frame.module) if view.frame is not None else MISSING


def _node(facts: Facts, name: str) -> Any:
    read = _NODE.get(name)
    return MISSING if read is None else _known(read(facts))


def _role(facts: Facts) -> str | None:
    """The name of the parent's attribute that holds the node, or a list with it."""
    parent = facts.site.tree.parent(facts.node)
    for name in (each.name for each in dataclasses.fields(parent)) if parent is not None else ():
        value = getattr(parent, name)
        if value is facts.node or (isinstance(value, (list, tuple)) and any(item is facts.node for item in value)):
            return name
    return None


def _is_inside(facts: Facts, *kinds: type[cst.CSTNode]) -> bool:
    """Whether the node stands in one of the kinds, within its function."""
    for ancestor in facts.site.tree.ancestors(facts.node):
        if isinstance(ancestor, kinds):
            return True
        if isinstance(ancestor, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            return False
    return False


def _in_async(facts: Facts) -> bool:
    function = facts.site.tree.function(facts.node)
    return function is not None and function.asynchronous is not None


def _function(facts: Facts) -> str | None:
    function = facts.site.tree.function(facts.node)
    return None if function is None else function.name.value


def _class(facts: Facts) -> str | None:
    around = facts.site.tree.enclosing(facts.node, cst.ClassDef)
    return None if around is None else around.name.value


def _decorators(facts: Facts) -> List[str]:
    function = facts.site.tree.function(facts.node)
    named = [item.decorator for item in function.decorators] if function is not None else []
    return [name for name in (dotted_name(each.func if isinstance(each, cst.Call) else each) for each in named) if name]


def _kind(node: cst.CSTNode | None) -> str | None:
    return None if node is None else type(node).__name__


_NODE: Dict[str, Callable[[Facts], Any]] = {
    "kind": lambda facts: _kind(facts.node),
    "code": lambda facts: facts.values["expression"],
    "parent": lambda facts: _kind(facts.site.tree.parent(facts.node)),
    "role": _role,
    "around": lambda facts: [type(each).__name__ for each in facts.site.tree.ancestors(facts.node)],
    "statement": lambda facts: facts.values["statement"],
    "in_loop": lambda facts: _is_inside(facts, cst.For, cst.While, cst.CompFor),
    "in_try": lambda facts: _is_inside(facts, cst.Try, cst.TryStar),
    "in_async": _in_async,
    "function": _function,
    "class": _class,
    "decorators": _decorators,
}
