"""Lookups that fail in a function which takes a default for that case and never uses it."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import literal_of
from homeostasis_rules_python.facts.base import Facts, extracts

DEFAULTS = frozenset(("default", "fallback", "otherwise", "if_missing", "default_value", "missing"))
"""Names of parameters that say what stands for something missing."""
MAX_CALLERS = 4
"""Functions of the app above the one that failed which may hold the default."""


@extracts("KeyError", "IndexError", "StopIteration", "LookupError", rank=22)
def unused_default(case: Case, site: Site) -> Facts | None:
    """`otherwise` is the parameter that stands for what was not found, and which the function never reads."""
    if case.raised.type not in ("KeyError", "IndexError", "StopIteration", "LookupError"):
        return None
    for outer in case.outwards(site, MAX_CALLERS):
        parameter = _unread(outer)
        line = _line(outer)
        if parameter is None or line is None or (outer is site and _reads_dict(outer)):
            continue
        facts = Facts.about(case, outer, line)
        facts.values.update(otherwise=parameter, missing=case.raised.type)
        facts.evidence.append(f"{facts.where} takes `{parameter}` for what is missing, and never uses it")
        facts.sentence = f"{facts.where} lets a {case.raised.type} out, though it takes `{parameter}`"
        return facts
    return None


def _unread(site: Site) -> str | None:
    """The parameter for what is missing, if nothing in the function reads it and its default is plain."""
    for each in parameters(site.function) if site.function is not None else ():
        name = each.name.value
        of_mapping = site.function is not None and site.function.name.value in ("get", "pop") and name == "d"
        if not (name in DEFAULTS or of_mapping) or (each.default is not None and not _is_plain(each.default)):
            continue
        if not any(use.value == name for use in site.tree.all(cst.Name, site.function.body if site.function else None)):
            return name
    return None


def _is_plain(node: cst.BaseExpression) -> bool:
    """Whether a default is a value and no mark such as `_MISSING` for "not given"."""
    empty = isinstance(node, (cst.List, cst.Tuple, cst.Dict)) and not node.elements
    return empty or literal_of(node)[0]


def _reads_dict(site: Site) -> bool:
    """Whether the key of a plain dict is missing: `rows.get(key, default)` says that in fewer words."""
    node = next(iter(site.nodes(cst.Subscript)), None)
    return isinstance(node, cst.Subscript) and site.type_of(node.value) == "dict"


def _line(site: Site) -> cst.SimpleStatementLine | None:
    """The statement that failed, if it returns or assigns."""
    node = next(iter(site.nodes(cst.Call, cst.Subscript, cst.Attribute)), None)
    line = site.tree.statement(node) if node is not None else None
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or site.function is None:
        return None
    gives = isinstance(line.body[0], (cst.Return, cst.Assign))
    return line if gives and isinstance(site.tree.parent(line), cst.IndentedBlock) else None
