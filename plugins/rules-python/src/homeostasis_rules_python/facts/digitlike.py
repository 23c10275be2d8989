"""Texts of characters that count as digits and are not the digits of a number, such as `²`."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.facts.base import Facts, extracts

_LITERAL = re.compile(r"^invalid literal for int\(\) with base 10: '([^']{1,200})'", re.DOTALL)


@extracts("ValueError", rank=23)
def digit_like(case: Case, site: Site) -> Facts | None:
    """`checked` is a text whose `isdigit()` is true, though `int` cannot read it."""
    found = _LITERAL.match(case.raised.message)
    if found is None or not any(each.isdigit() and not each.isdecimal() for each in found.group(1)):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) != "int" or not node.args:
            continue
        names = {use.value for use in site.tree.all(cst.Name, node.args[0])}
        tests = [test for test in digit_tests(site) if test.value.value in names]  # type: ignore[attr-defined]
        if not tests:
            return None
        facts = Facts.about(case, site, node)
        facts.say("checked", tests[0].value)
        facts.values["mistake"] = "digit-like"
        facts.sentence = f"{facts.where} takes all that `isdigit` lets pass for what `int` reads"
        return facts
    return None


def digit_tests(site: Site) -> List[cst.Attribute]:
    """`name.isdigit` in the calls of the failing function."""
    inside = site.function if site.function is not None else site.tree.module
    return [
        call.func
        for call in site.tree.all(cst.Call, inside)
        if isinstance(call.func, cst.Attribute)
        and call.func.attr.value == "isdigit"
        and isinstance(call.func.value, cst.Name)
        and not call.args
    ]
