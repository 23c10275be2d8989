"""Calls that were not changed along with the parameters of what they call."""

from __future__ import annotations

import re
from typing import Iterator

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.signature import Signature, signature
from homeostasis_rules_python.code.tree import called_name, literal_of
from homeostasis_rules_python.facts import names
from homeostasis_rules_python.facts.base import Facts, extracts

_KEYWORD = re.compile(names.CALLED + r"got an unexpected keyword argument '(?P<given>\w{1,200})'")
_MISSING = re.compile(names.CALLED + r"missing 1 required (?:positional|keyword-only) argument: '(?P<given>\w{1,200})'")


@extracts("TypeError", rank=45)
def stale_call(case: Case, site: Site) -> Facts | None:
    """Facts about a call that passes a parameter which is gone, or lacks one which is new.

    `stale` is `renamed` (then `renamed_to` says what to), `removed` or `added`.
    """
    keyword, missing = _KEYWORD.match(case.raised.message), _MISSING.match(case.raised.message)
    found = keyword or missing
    if found is None:
        return None
    given = found["given"]
    for call, called in _calls(case, site, found["name"], found["owner"]):
        if missing is not None and called.lacking(call) == [given]:
            facts = _about(case, site, call, called)
            facts.values.update(stale="added", added=given)
            facts.values["suppliable"] = suppliable(facts)
            facts.sentence = f"{facts.where} calls `{called.name.value}` without `{given}`, which it needs"
            return facts
        passed = [arg.keyword.value for arg in call.args if arg.keyword is not None]
        if keyword is not None and given in passed and not called.takes_any_keyword and given not in called.names:
            return _of_keyword(case, site, call, called, given)
    return None


def suppliable(facts: Facts) -> bool:
    """Whether the app says what to pass: the caller has a value of that name, or other calls agree on a constant."""
    name, called = facts.values["added"], facts.values["called"]
    if binding(facts.site.tree, name, facts.node).kind in ("parameter", "assign", "element", "with"):
        return True
    passed = {
        repr(literal_of(arg.value))
        for tree in facts.case.trees(called.encode("utf-8"))
        for call in tree.all(cst.Call)
        if called_name(call) == called
        for arg in call.args
        if arg.keyword is not None and arg.keyword.value == name
    }
    return len(passed) == 1 and passed != {repr((False, None))}


def _of_keyword(case: Case, site: Site, call: cst.Call, called: Signature, keyword: str) -> Facts | None:
    lacking = called.lacking(call)
    if lacking is None or len(lacking) > 1:
        return None
    known = names.wrong_call(case, site)
    facts = known if known is not None and known.node is call else _about(case, site, call, called)
    name = called.name.value
    facts.values.update(
        called=name, called_owner=_owner(called), keyword=keyword, stale="renamed" if lacking else "removed"
    )
    facts.values["renamed_to"] = lacking[0] if lacking else None
    facts.sentence = (
        f"{facts.where} passes `{keyword}` to `{name}`, whose parameter is called `{lacking[0]}`"
        if lacking
        else f"{facts.where} passes `{keyword}` to `{name}`, which has no such parameter"
    )
    return facts


def _about(case: Case, site: Site, call: cst.Call, called: Signature) -> Facts:
    facts = Facts.about(case, site, call)
    facts.values.update(called=called.name.value, called_owner=_owner(called))
    place = called.tree.range(called.name).start.line
    facts.evidence.append(
        f"`{called.name.value}` is defined in {called.tree.path}:{place} with ({', '.join(called.names)})"
    )
    return facts


def _owner(called: Signature) -> str | None:
    return called.owner.name.value if called.owner is not None else None


def _calls(case: Case, site: Site, name: str, owner: str | None) -> Iterator[tuple[cst.Call, Signature]]:
    """Calls that the frame may mean, with what they call; `__init__` is called by the name of its class."""
    for node in site.nodes(cst.Call):
        called = called_name(node) if isinstance(node, cst.Call) else None
        if not isinstance(node, cst.Call) or called is None or (name not in ("__init__", called)):
            continue
        found = signature(case, site.tree, node, None if name == "__init__" else owner)
        if found is not None and (name != "__init__" or found.kind == "class"):
            yield node, found
