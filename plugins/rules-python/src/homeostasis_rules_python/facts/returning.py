"""None where a function of the app worked a result out and forgot to return it."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.dropped import Dropped, dropped_result
from homeostasis_rules_python.facts import nothing
from homeostasis_rules_python.facts.base import Facts, extracts


@extracts("AttributeError", "TypeError", rank=30)
def forgotten_return(case: Case, site: Site) -> Facts | None:
    """`forgetful` is the function, `given` the value that it made and dropped."""
    if "NoneType" not in case.raised.message:
        return None
    facts = nothing.of_none(case, site)
    subject = facts.nodes["subject"] if facts is not None else _returned(case, site)
    found = dropped_result(case, site, subject) if subject is not None else None
    if found is None or subject is None:
        return None
    return about(case, site, subject, found)


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
