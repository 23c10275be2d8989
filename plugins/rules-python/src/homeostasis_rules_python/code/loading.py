"""How the app itself fills a cache: the assignment that stores what was loaded under a key."""

from __future__ import annotations

import re
from typing import Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Site
from homeostasis_rules_python.code.edit import expression
from homeostasis_rules_python.code.scope import bindings_in, parameters
from homeostasis_rules_python.code.tree import called_name, dotted_name, subscript_key


def loader_of(site: Site, container: cst.BaseExpression, key: cst.BaseExpression) -> Tuple[str, str] | None:
    """The call that loads an item of `container`, in the words of `key`, and the evidence; None if there is none.

    `CACHE[sku] = load(sku)` elsewhere in the file says that `load(number)` fills `CACHE[number]`. Only a call that is
    made of the key and of names of the module says enough.
    """
    name = dotted_name(container)
    if name is None or not isinstance(key, (cst.Name, cst.Attribute)):
        return None
    for assignment in site.tree.all(cst.Assign):
        target = assignment.targets[0].target
        if len(assignment.targets) != 1 or not isinstance(target, cst.Subscript) or dotted_name(target.value) != name:
            continue
        stored, value = subscript_key(target), assignment.value
        if not isinstance(stored, cst.Name) or not isinstance(value, (cst.Call, cst.Await)):
            continue
        if not _reads(name, value):
            continue
        said = _said(site, assignment, value, stored.value, site.tree.code(key))
        if said is not None and _can_await(site, value):
            line = site.tree.range(assignment).start.line
            return said, f"{site.path}:{line} fills `{name}` with `{site.tree.code(value)[:100]}`"
    return None


_READING = re.compile(
    r"^_{0,2}(load|fetch|get|read|query|find|lookup|look_up|compute|parse|render|resolve|calculate|build)(_|$)"
)
_CACHE = re.compile(r"(?i)cache|memo|loaded|preloaded")


def _reads(container: str, value: cst.Call | cst.Await) -> bool:
    """Whether the call only looks something up, by its name or that of the container: creating is no loading."""
    call = value.expression if isinstance(value, cst.Await) else value
    name = called_name(call) if isinstance(call, cst.Call) else None
    return name is not None and (_READING.match(name) is not None or _CACHE.search(container) is not None)


def _said(site: Site, assignment: cst.Assign, value: cst.BaseExpression, stored: str, key: str) -> str | None:
    """The source of `value` with the key put in; None if it needs something that only its function knows."""
    uses = [item for item in site.tree.all(cst.Name, value) if not _is_part(site, item)]
    if not any(item.value == stored for item in uses):
        return None
    function = site.tree.function(assignment)
    if function is None or function is site.function:
        return None
    own = {item.name.value for item in parameters(function)} - {"self"}
    if any(item.value != stored and (item.value in own or _is_local(function, item.value)) for item in uses):
        return None
    changed = value.visit(_Rename({id(item) for item in uses if item.value == stored}, expression(key)))
    return site.tree.code(changed) if isinstance(changed, cst.BaseExpression) else None


def _is_part(site: Site, name: cst.Name) -> bool:
    """Whether a name is an attribute or a keyword, which no variable stands behind."""
    parent = site.tree.parent(name)
    return (isinstance(parent, cst.Attribute) and parent.attr is name) or (
        isinstance(parent, cst.Arg) and parent.keyword is name
    )


def _is_local(function: cst.FunctionDef, name: str) -> bool:
    return any(True for _ in bindings_in(function.body, name))


def _can_await(site: Site, value: cst.BaseExpression) -> bool:
    """Whether an awaited loader can be awaited in the failing function."""
    return not isinstance(value, cst.Await) or (site.function is not None and site.function.asynchronous is not None)


class _Rename(cst.CSTTransformer):
    def __init__(self, wanted: set[int], new: cst.BaseExpression) -> None:
        super().__init__()
        self._wanted = wanted
        self._new = new

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        return self._new if id(original_node) in self._wanted else updated_node
