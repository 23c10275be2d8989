"""JSON: what is decoded already, keys that are no text, and dataclasses."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import has_keyword, with_keywords
from homeostasis_rules_python.code.edit import expression
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_DECODED = re.compile(r"^the JSON object must be str, bytes or bytearray, not (dict|list)")
_KEYS = re.compile(r"^keys must be str, int, float, bool or None, not (date|datetime|UUID|Decimal|PosixPath)")
_NOT_JSON = re.compile(r"^Object of type (\w{1,100}) is not JSON serializable")


@extracts("TypeError", rank=23)
def decoded_already(case: Case, site: Site) -> Facts | None:
    """`mistake` is `json-decoded`: `json.loads` of what is a dict or list already."""
    found = _DECODED.match(case.raised.message)
    for node in site.nodes(cst.Call) if found is not None else ():
        if isinstance(node, cst.Call) and called_name(node) == "loads" and len(node.args) == 1 and found is not None:
            given = node.args[0].value
            sentence = f"{{where}} decodes `{site.tree.code(given)}`, which is a {found.group(1)} already"
            return replacing(case, site, "json-decoded", node, given, sentence)
    return None


@extracts("TypeError", rank=23)
def keys_of_json(case: Case, site: Site) -> Facts | None:
    """`mistake` is `json-keys`: a dict with dates or the like for keys is written as JSON."""
    found = _KEYS.match(case.raised.message)
    for node in site.nodes(cst.Call) if found is not None else ():
        if (
            not isinstance(node, cst.Call)
            or called_name(node) not in ("dumps", "dump")
            or not node.args
            or found is None
        ):
            continue
        given = node.args[0].value
        if not isinstance(given, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)):
            continue
        text = f"{{str(key): value for key, value in {site.tree.code(given)}.items()}}"
        sentence = f"{{where}} writes `{site.tree.code(given)}` as JSON, whose keys are {found.group(1)} and no text"
        return replacing(case, site, "json-keys", given, expression(text), sentence)
    return None


@extracts("TypeError", rank=29)
def dataclass_as_json(case: Case, site: Site) -> Facts | None:
    """`mistake` is `json-dataclass`: a dataclass of the app is written as JSON."""
    found = _NOT_JSON.match(case.raised.message)
    owner = app_class(case, found.group(1)) if found is not None else None
    if owner is None or found is None:
        return None
    marks = [item.decorator for item in owner[1].decorators]
    named = {dotted_name(mark.func if isinstance(mark, cst.Call) else mark) for mark in marks}
    if not named & {"dataclass", "dataclasses.dataclass"}:
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or dotted_name(node.func) not in ("json.dumps", "json.dump"):
            continue
        if has_keyword(node, "default", "cls"):
            continue
        new = with_keywords(node, [("default", "dataclasses.asdict")])
        sentence = f"{{where}} writes the dataclass `{found.group(1)}` as JSON"
        return replacing(case, site, "json-dataclass", node, new, sentence, ["dataclasses"])
    return None
