"""Whether what is read as a number, a date or the like may be something else than text: JSON has lists and null."""

from __future__ import annotations

from typing import List, Sequence

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.code.web import returns_answers

_STEPS = 10
_ALSO = {"ValueError": ("TypeError",), "InvalidOperation": ("TypeError", "ValueError")}
"""What readers raise for a list or None, beside what they raise for a text that is wrong: by the latter."""


def exceptions_of(case: Case, site: Site, text: cst.CSTNode, place: object, known: Sequence[str]) -> List[str]:
    """All that reading a value may raise, if the value need not be a text; else what is known.

    Args:
        case: the crash.
        site: where it is read.
        text: what is read.
        place: the part of the request that it came from this time.
        known: exceptions of a text that cannot be read.

    Returns:
        The names, in the order of the alphabet where some are added.
    """
    added = [name for each in known for name in _ALSO.get(each, ()) if name not in known]
    if not added or not _may_be_no_text(case, site, text, place):
        return list(known)
    return sorted({*known, *added})


def _may_be_no_text(case: Case, site: Site, node: cst.CSTNode, place: object) -> bool:
    for _step in range(_STEPS):
        if isinstance(node, (cst.Subscript, cst.Attribute)):
            return place == "body"
        if isinstance(node, cst.Call):
            return place == "body" and called_name(node) in ("get", "pop")
        if not isinstance(node, cst.Name):
            return False
        found, function = binding(site.tree, node.value, node), site.tree.function(node)
        if isinstance(found.node, cst.Param):
            # A function that checks what others hand over does not know where they have it from.
            return function is not None and found.node.annotation is None and not _is_handler(case, site, function)
        if found.kind == "element":
            return place == "body"
        if found.kind != "assign" or found.value is None:
            return False
        node = found.value
    return False


def _is_handler(case: Case, site: Site, function: cst.FunctionDef) -> bool:
    return returns_answers(case, site.tree, function) or bool(function.decorators)
