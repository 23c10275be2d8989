"""Why the failing code met a bad value, in a sentence."""

from __future__ import annotations

from typing import Tuple

import libcst as cst

from homeostasis_rules_python.code.cause import EMPTY, NONE, ZERO, Bad, Cause, cause, without
from homeostasis_rules_python.facts.base import Facts


def because(facts: Facts) -> Cause | None:
    """The cause of the value that the facts blame, in a sentence about it; None if the code does not say."""
    blamed = _blamed(facts)
    if blamed is None:
        return None
    name, bad = blamed
    node = facts.nodes[name]
    found = cause(facts.case, facts.site, node, bad)
    if found is None:
        return None
    shown = " ".join(facts.site.tree.code(node).split())[:80]
    if isinstance(node, cst.Call) and found.sentence.startswith(f"`{shown}` "):
        return found
    return Cause(f"`{shown}` {bad.state} because {found.sentence}", found.path, found.line)


def _blamed(facts: Facts) -> Tuple[str, Bad] | None:
    kinds = {facts.case.raised.type, *(base.split(".")[-1] for base in facts.case.raised.bases)}
    if "subject" in facts.nodes and "NoneType" in facts.case.raised.message:
        return "subject", NONE
    if "divisor" in facts.nodes and "ArithmeticError" in kinds:
        return "divisor", ZERO
    if "container" in facts.nodes and "IndexError" in kinds and facts.values.get("length", 0) in (0, None):
        return "container", EMPTY
    key = facts.values.get("key_literal")
    if "container" in facts.nodes and "KeyError" in kinds and key is not None:
        return "container", without(key)
    return None
