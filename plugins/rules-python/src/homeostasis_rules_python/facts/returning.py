"""None where a function of the app worked a result out and forgot to return it."""

from __future__ import annotations

from typing import List, Tuple, Type, TypeVar

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.dropped import Dropped, dropped_result
from homeostasis_rules_python.code.unreturned import called_around, unreturned
from homeostasis_rules_python.facts import nothing
from homeostasis_rules_python.facts.base import Facts, extracts

MAX_PARTS = 100
"""Parts of the failing expression that are looked at."""


@extracts("AttributeError", "TypeError", rank=30)
def forgotten_return(case: Case, site: Site) -> Facts | None:
    """`forgetful` is the function, `given` the value that it made and dropped."""
    if "NoneType" not in case.raised.message:
        return None
    elsewhere = unreturned(case)
    if elsewhere is not None:
        return about(case, site, elsewhere[2].value, elsewhere)
    facts = nothing.of_none(case, site)
    subject = facts.nodes["subject"] if facts is not None else _returned(case, site)
    found = dropped_result(case, site, subject) if subject is not None else None
    if found is None and facts is None:
        subject, found = _somewhere(case, site)
    found = found or called_around(case)
    if found is None:
        return None
    return about(case, site, subject if subject is not None else found[2].value, found)


def _somewhere(case: Case, site: Site) -> Tuple[cst.BaseExpression | None, Dropped | None]:
    """The one part of the failing expression that such a function gave, where the message does not say which part."""
    whole = next(iter(site.nodes(cst.Call, cst.BinaryOperation, cst.Subscript, cst.Comparison, cst.AugAssign)), None)
    found: List[Tuple[cst.BaseExpression, Dropped]] = []
    inside = [*_inside(site, cst.Call, whole), *_inside(site, cst.Attribute, whole), *_inside(site, cst.Name, whole)]
    for part in inside[:MAX_PARTS]:
        dropped = dropped_result(case, site, part)
        if dropped is not None and all(dropped[1] is not other[1] for _part, other in found):
            found.append((part, dropped))
    return found[0] if len(found) == 1 else (None, None)


PartT = TypeVar("PartT", bound=cst.BaseExpression)


def _inside(site: Site, kind: Type[PartT], whole: cst.CSTNode | None) -> List[cst.BaseExpression]:
    return list(site.tree.all(kind, whole)) if whole is not None else []


def about(case: Case, site: Site, subject: cst.BaseExpression, found: Dropped) -> Facts:
    """The facts of a result that is dropped."""
    tree, function, line = found
    facts = Facts.about(case, site, subject)
    facts.say("none", subject)
    name = function.name.value
    facts.values.update(forgetful=name, dropped=tree.code(line.value).strip())
    place = f"{tree.path}:{tree.range(line).start.line}"
    facts.evidence.append(f"`{name}` makes `{facts.values['dropped'][:80]}` ({place}) and drops it")
    facts.sentence = f"{facts.where} uses what `{name}` returned, and it returned nothing"
    return facts


def _returned(case: Case, site: Site) -> cst.BaseExpression | None:
    """The value that `__str__` and the like returned, where None was refused."""
    if "returned non-" not in case.raised.message:
        return None
    lines = [node for node in site.nodes(cst.Return) if isinstance(node, cst.Return) and node.value is not None]
    called = [node for node in site.nodes(cst.Call) if isinstance(node, cst.Call)]
    return lines[0].value if lines else called[0] if called else None
