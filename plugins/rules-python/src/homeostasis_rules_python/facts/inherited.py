"""Objects whose class does not let its base class make its part of them."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import Class, app_class, base_names
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.attributes import initialised, plain_name
from homeostasis_rules_python.facts.base import Facts, extracts

_OF_OBJECT = re.compile(r"^'(?:[\w.]{1,300}\.)?(\w{1,200})' object has no attribute '(\w{1,200})'")


@extracts("AttributeError", rank=44)
def base_not_initialised(case: Case, site: Site) -> Facts | None:
    """Facts about an attribute that `__init__` of a base class sets and that of the class does not ask for.

    `owner` is the class, `base_arguments` what the base class has to be given, by names that both take.
    """
    found = _OF_OBJECT.match(case.raised.message)
    owner = app_class(case, found.group(1)) if found is not None else None
    own = _init(owner) if owner is not None else None
    if found is None or owner is None or own is None or _asks_base(owner, own):
        return None
    base = _base_setting(case, owner, found.group(2))
    made = _init(base) if base is not None else None
    if base is None or made is None or isinstance(made.params.star_arg, cst.Param) or made.params.kwonly_params:
        return None
    needed = [each.name.value for each in parameters(made)[1:] if each.default is None]
    taken = {each.name.value for each in parameters(own)}
    if not set(needed) <= taken:
        return None
    attribute = plain_name(base[1].name.value, found.group(2))
    for node in site.nodes(cst.Attribute):
        if isinstance(node, cst.Attribute) and node.attr.value == attribute:
            facts = Facts.about(case, site, node)
            facts.values.update(owner=found.group(1), base_arguments=needed, attribute=attribute)
            place = f"{base[0].path}:{base[0].range(made.name).start.line}"
            facts.evidence.append(f"`{attribute}` is set by `__init__` of the base `{base[1].name.value}` ({place})")
            facts.sentence = (
                f"{facts.where} reads `{attribute}`, which only the base class sets, and it was not asked to"
            )
            return facts
    return None


def _init(owner: Class) -> cst.FunctionDef | None:
    for statement in owner[1].body.body:
        if isinstance(statement, cst.FunctionDef) and statement.name.value == "__init__":
            return statement
    return None


def _asks_base(owner: Class, own: cst.FunctionDef) -> bool:
    return any(called_name(call) == "__init__" for call in owner[0].all(cst.Call, own.body))


def _base_setting(case: Case, owner: Class, attribute: str) -> Class | None:
    """The one base class of the app whose `__init__` sets an attribute."""
    names: List[str] = list(base_names(owner[1]))
    if len(names) != 1 or dotted_name(owner[1].bases[0].value) is None:
        return None
    base = app_class(case, names[0])
    if base is None:
        return None
    plain = plain_name(base[1].name.value, attribute)
    return base if plain in {target.attr.value for target in initialised(*base)} else None
