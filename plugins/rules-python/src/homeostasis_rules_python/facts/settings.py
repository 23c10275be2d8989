"""Environment variables that are not set or empty where the project documents a default."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.conventions import environment_default
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts

_READ = ("os.environ.get", "os.getenv", "environ.get", "getenv")
_NONE = re.compile(
    r"^(?:int|float|Decimal)\(\) argument must be .*'NoneType'|^'NoneType' object|'NoneType'"
    r"|^expected str, bytes or os.PathLike object, not NoneType"
)
_EMPTY = re.compile(r"^invalid literal for int\(\) with base \d+: ''|^could not convert string to float: ''")


@extracts("TypeError", "AttributeError", rank=42)
def unset(case: Case, site: Site) -> Facts | None:
    """`setting`: the call that reads a variable which is not set, with the documented `default`."""
    if not _NONE.search(case.raised.message):
        return None
    for call in _settings(site):
        name = literal_of(call.args[0].value)[1]
        if len(call.args) != 1 or not isinstance(name, str):
            continue
        found = environment_default(case, site, name)
        if found is None:
            continue
        facts = Facts.about(case, site, call)
        facts.say("setting", call)
        facts.values.update(variable=name, default=found.text, documented=found.evidence, empty=False)
        facts.sentence = f"{facts.where} needs the environment variable {name:.80}, which is not set"
        return facts
    return None


@extracts("ValueError", rank=42)
def empty(case: Case, site: Site) -> Facts | None:
    """The same for a variable that is set to nothing, with the default that the call itself gives."""
    if not _EMPTY.match(case.raised.message):
        return None
    for call in _settings(site):
        if len(call.args) != 2 or not literal_of(call.args[1].value)[0]:
            continue
        name = str(literal_of(call.args[0].value)[1])
        facts = Facts.about(case, site, call)
        facts.say("setting", call)
        text = site.tree.code(call.args[1].value)
        facts.values.update(
            variable=name, default=text, documented=f"the call itself gives the default {text}", empty=True
        )
        facts.sentence = f"{facts.where} needs the environment variable {name:.80}, which is set to nothing"
        return facts
    return None


def _settings(site: Site) -> list[cst.Call]:
    """Calls that read the environment in the failing expression, and those that its names were assigned from."""
    found: list[cst.Call] = []
    nodes = site.nodes(cst.Call, cst.Attribute, cst.Subscript, cst.BinaryOperation, cst.Comparison)
    for node in nodes[:4]:
        for name in site.tree.all(cst.Name, node):
            value = binding(site.tree, name.value, name).value
            found.extend(site.tree.all(cst.Call, value) if value is not None else ())
        found.extend(site.tree.all(cst.Call, node))
    return [call for call in dict.fromkeys(found) if dotted_name(call.func) in _READ and call.args]
