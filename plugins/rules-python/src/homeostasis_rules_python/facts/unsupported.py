"""Operators of the app's classes that hand on `NotImplemented` as if it were a result."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.facts.base import Facts, extracts

_OPERATORS = frozenset(
    f"__{side}{name}__"
    for side in ("", "r", "i")
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
) | frozenset(("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__divmod__", "__lshift__", "__rshift__"))


@extracts("TypeError", "AttributeError", rank=25)
def handed_on(case: Case, site: Site) -> Facts | None:
    """Facts about an operator that took `NotImplemented` of the base class for a result, which it calls `result`."""
    if "NotImplementedType" not in case.raised.message:
        return None
    current: Site | None = site
    for _ in range(5):
        function = current.function if current is not None else None
        if current is None or function is None:
            return None
        found = _result_of_base(current, function)
        if found is not None:
            facts = Facts.about(case, current, found.value)
            facts.values["result"] = found.targets[0].target.value  # type: ignore[attr-defined]
            facts.sentence = (
                f"{facts.where} works on with `NotImplemented`, which says that others may know the operation"
            )
            return facts
        current = case.caller(current)
    return None


def _result_of_base(site: Site, function: cst.FunctionDef) -> cst.Assign | None:
    """`result = super().__add__(other)` in `__add__`."""
    name = function.name.value
    for assign in site.tree.all(cst.Assign, function.body) if name in _OPERATORS else ():
        plain = len(assign.targets) == 1 and isinstance(assign.targets[0].target, cst.Name)
        if plain and isinstance(assign.value, cst.Call) and called_name(assign.value) == name:
            return assign
    return None
