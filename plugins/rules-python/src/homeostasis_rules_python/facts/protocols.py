"""Special methods that give something of another type than Python asks of them."""

from __future__ import annotations

from homeostasis_rules_python.code.called import definition_site
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.protocols import CONVERTERS, refused
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import call_of, replacing


@extracts("TypeError", rank=28)
def wrong_kind(case: Case, _site: Site) -> Facts | None:
    """`mistake` is `protocol`: what a special method returns is converted to what Python asks of it."""
    found = refused(case)
    if found is None:
        return None
    tree, function, line = found
    value = line.value
    if value is None:
        return None
    name = function.name.value
    sentence = f"`{name}` returns `{tree.code(value)[:80]}`, which is of another type than Python asks for"
    target = definition_site(case, tree, function, tree.range(line).start.line)
    return replacing(case, target, "protocol", value, call_of(CONVERTERS[name], value), sentence)
