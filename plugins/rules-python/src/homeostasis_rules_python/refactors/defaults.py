"""Refactors that read stored data which lacks something: with a default that the code base declares."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.conventions import Declared, default_for_key, environment_default
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.neutral import declared_return
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class DefaultForKey:
    """A key that stored data lacks."""

    refactor_id = "default-for-key"
    needs = ("container", "key")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`c.get(key, default)`: the declared default, else the neutral element of the use, else None (invented)."""
        key, code = facts.values["key_literal"], facts.values["key"]
        declared = default_for_key(facts.case, facts.site, key) if isinstance(key, str) else default_parameter(facts)
        if declared is not None:
            yield read_with(facts, declared, Effect.RECOVER, Risk.LOW, f"Use {declared.text} when {code} is missing")
        neutral = facts.values["neutral"]
        if neutral is not None and (declared is None or declared.text != neutral):
            weight = 0.3 if facts.values["use"] == "product" else 0.55
            found = Declared(
                neutral, f"{neutral} is the neutral element of the {facts.values['use']} it is used in", weight
            )
            yield read_with(facts, found, Effect.RECOVER, Risk.HIGH, f"Use {neutral} when {code} is missing")
        dereferenced = isinstance(facts.site.tree.parent(facts.node), (cst.Subscript, cst.Attribute))
        if declared is None and neutral is None and not dereferenced:
            nothing = Declared("None", "nothing in the code base says what stands for a missing value", 0.2)
            yield read_with(facts, nothing, Effect.INVENT, Risk.MEDIUM, f"Use None when {code} is missing")


def default_parameter(facts: Facts) -> Declared | None:
    """The function's own parameter `default`: what stands for a key that the caller named and that is missing."""
    function, key = facts.site.function, facts.nodes["key"]
    if function is None or not isinstance(key, cst.Name):
        return None
    known = {each.name.value: each.default for each in parameters(function)}
    if not {"default", key.value} <= set(known):
        return None
    # `default=_MISSING` marks that none was given: it stands for nothing itself.
    if isinstance(known["default"], cst.Name) and not literal_of(known["default"])[0]:
        return None
    return Declared("default", f"{facts.where} takes a parameter `default`", 1.0)


def read_with(facts: Facts, found: Declared, effect: Effect, risk: Risk, summary: str) -> Change:
    """The change that reads a key with a default: `c.get(key, default)`, or a test where `c` is known to be no dict."""
    edits = Edits(facts.site.tree)
    container, key = facts.nodes["container"], facts.nodes["key"]
    default = expression(found.text)
    if facts.values.get("container_type") in (None, "dict", "defaultdict", "OrderedDict", "Counter", "_Environ"):
        getter = cst.Attribute(value=container, attr=cst.Name("get"))
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        plain = found.text == "None"
        args = [cst.Arg(key)] if plain else [cst.Arg(key, comma=comma), cst.Arg(default)]
        new: cst.BaseExpression = cst.Call(getter, args)
    else:
        has = cst.Comparison(key, [cst.ComparisonTarget(cst.In(), container)])
        new = cst.IfExp(test=has, body=facts.expression, orelse=default)
    edits.replace(facts.node, new)
    rationale = f"The stored data lacks the key; {found.evidence}."
    return Change((edits,), effect, summary, rationale, found.weight, risk, (found.evidence,))


@register
class EnvironmentDefault:
    """An environment variable that is not set but documented."""

    refactor_id = "environment-default"
    needs = ("container", "key_literal")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`os.environ.get(name, default)` with the default that the project documents; nothing if it has none."""
        name = facts.values["key_literal"]
        found = environment_default(facts.case, facts.site, name) if isinstance(name, str) else None
        if found is not None:
            yield read_with(facts, found, Effect.RECOVER, Risk.LOW, f"Use the documented default for {name}")


@register
class DefaultForEmpty:
    """An item of a sequence that has none."""

    refactor_id = "default-for-empty"
    needs = ("container", "access")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`items[0] if items else default`: what the function returns elsewhere, else the neutral element."""
        index, container = facts.values["index_literal"], facts.nodes["container"]
        if index not in (0, -1) or facts.values["access"] not in ("read", "pop") or not is_repeatable(container):
            return
        tree, node = facts.site.tree, facts.expression
        returned = isinstance(tree.parent(node), cst.Return)
        declared = declared_return(tree, facts.site.function) if returned else None
        optional = returned and is_optional(facts)
        if declared is None and optional:
            declared = "None"
        text = declared or facts.values["neutral"]
        if text is None:
            text, effect, weight = "None", Effect.INVENT, 0.2
            evidence = "nothing in the code base says what stands for a missing item"
        elif declared is not None:
            effect, weight = Effect.RECOVER, 1.0
            evidence = f"the function itself returns {declared} when there is nothing"
        else:
            effect, weight = Effect.RECOVER, 0.6
            evidence = f"{text} is the neutral element of the {facts.values['use']} it is used in"
        edits = Edits(tree)
        edits.replace(node, cst.IfExp(test=container, body=node, orelse=expression(text)))
        name = facts.values["container"]
        risk = Risk.LOW if declared is not None else Risk.HIGH
        summary = f"Use {text} when `{name}` is empty"
        yield Change((edits,), effect, summary, f"The sequence is empty; {evidence}.", weight, risk, (evidence,))


def is_optional(facts: Facts) -> bool:
    """Whether the function says in its annotation that it may return None."""
    function = facts.site.function
    if function is None or function.returns is None:
        return False
    text = facts.site.tree.code(function.returns.annotation)
    return "Optional[" in text or text.replace(" ", "").endswith("|None")
