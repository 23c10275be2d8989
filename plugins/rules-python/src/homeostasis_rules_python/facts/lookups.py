"""KeyError and IndexError: a container that lacks what is asked of it."""

from __future__ import annotations

from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import asked_by_client, origin
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name, literal_of, subscript_key
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.keys import enrich


@extracts("KeyError", rank=50)
def key_error(case: Case, site: Site) -> Facts | None:
    """Facts about `container[key]`, `container.pop(key)` and `container.remove(key)`."""
    for node in _likely_keys(case, site):
        parts = _parts(node)
        if parts is None:
            continue
        container, key = parts
        facts = Facts.about(case, site, node)
        facts.say("container", container)
        facts.say("key", key)
        known, literal = literal_of(key)
        facts.values["key_literal"] = literal if known and isinstance(literal, (str, int)) else None
        facts.values["access"] = _access(site, node)
        _say_accumulation(facts)
        facts.values["container_type"] = site.type_of(container)
        if dotted_name(container) in ("os.environ", "environ"):
            facts.values["container_origin"] = "environment"
        else:
            facts.blame("container", origin(case, site, container))
        facts.blame("key", origin(case, site, key))
        enrich(facts, container, key)
        facts.sentence = _key_sentence(facts)
        return facts
    return None


@extracts("IndexError", rank=50)
def index_error(case: Case, site: Site) -> Facts | None:
    """Facts about `sequence[index]` and `sequence.pop()`."""
    nodes = [node for node in site.nodes(cst.Subscript, cst.Call) if _parts(node, pop_default=True) is not None]
    stores = "assignment" in case.raised.message
    for node in sorted(nodes, key=lambda item: (_is_stored(site, item) is not stores, _out_of_range(site, item))):
        parts = _parts(node, pop_default=True)
        if parts is None:
            continue
        container, index = parts
        facts = Facts.about(case, site, node)
        facts.say("container", container)
        facts.say("index", index)
        facts.values["index_literal"] = literal_of(index)[1]
        facts.values["access"] = _access(site, node)
        facts.values["length"] = _length(site, container)
        facts.blame("container", origin(case, site, container))
        facts.blame("index", origin(case, site, index))
        asked, asked_for = asked_by_client(case, site, container)
        if asked_for is not None:
            facts.nodes["asked"] = asked_for
        facts.blame("lookup", asked)
        code, shown = facts.values["container"], facts.values["index"]
        facts.sentence = f"{facts.where} reads item {shown} of `{code}`, which has no such item"
        return facts
    return None


def _parts(node: cst.CSTNode, *, pop_default: bool = False) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    if isinstance(node, cst.Subscript):
        key = subscript_key(node)
        return None if key is None else (node.value, key)
    if (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and called_name(node) in ("pop", "popleft", "remove")
    ):
        if len(node.args) == 1 and node.args[0].keyword is None:
            return node.func.value, node.args[0].value
        if not node.args and pop_default and called_name(node) != "remove":
            return node.func.value, cst.parse_expression("-1" if called_name(node) == "pop" else "0")
    return None


def _likely_keys(case: Case, site: Site) -> List[cst.CSTNode]:
    message = case.raised.message

    def badness(node: cst.CSTNode) -> int:
        parts = _parts(node)
        if parts is None:
            return 3
        known, value = site.value(parts[1])
        if known:
            return 0 if message in (repr(value), _as_header(value)) else 2
        return 1

    nodes = site.nodes(cst.Subscript, cst.Call)
    # With columns the nearest node is meant; the message decides only where nothing but the line is known.
    return sorted(nodes, key=badness) if site.span.column is None else [n for n in nodes if badness(n) < 2]


def _as_header(value: object) -> str | None:
    """How Werkzeug names a missing header: `'HTTP_X_TOKEN'` for `X-Token`."""
    return repr("HTTP_" + value.upper().replace("-", "_")) if isinstance(value, str) else None


def _access(site: Site, node: cst.CSTNode) -> str:
    parent = site.tree.parent(node)
    if isinstance(node, cst.Call):
        return "remove" if called_name(node) == "remove" else "pop"
    if isinstance(parent, cst.AugAssign) and parent.target is node:
        return "augmented"
    if isinstance(parent, cst.Del) or isinstance(site.tree.enclosing(node, cst.Del), cst.Del):
        return "delete"
    if isinstance(parent, cst.AssignTarget):
        return "assign"
    if isinstance(parent, cst.Attribute) and parent.attr.value in ("append", "extend", "add", "update", "insert"):
        return parent.attr.value
    return "read"


def _say_accumulation(facts: Facts) -> None:
    """What `d[k] += amount` or `d[k] |= amount` adds, and what `d[k].append(...)` starts with."""
    parent = facts.site.tree.parent(facts.node)
    added = isinstance(parent, cst.AugAssign) and isinstance(parent.operator, (cst.AddAssign, cst.BitOrAssign))
    if isinstance(parent, cst.AugAssign) and added and parent.target is facts.node:
        facts.say("amount", parent.value)
    starts = {"append": "[]", "extend": "[]", "insert": "[]", "add": "set()", "update": "{}"}
    start = starts.get(facts.values["access"])
    # What `update` changes may be a record that has to exist; only what the code fills itself is a collection.
    facts.values["start"] = start if start != "{}" or is_filled_here(facts.site, facts.nodes["container"]) else None


def is_filled_here(site: Site, container: cst.BaseExpression) -> bool:
    """Whether the file makes the dict, empty: as a variable, or as an attribute of the object."""
    name = dotted_name(container)
    if name is None:
        return False
    if isinstance(container, cst.Name):
        found = binding(site.tree, container.value, container)
        return found.kind in ("assign", "module") and _is_empty(found.value)
    plain = [(target.target, node.value) for node in site.tree.all(cst.Assign) for target in node.targets]
    annotated = [(node.target, node.value) for node in site.tree.all(cst.AnnAssign)]
    return any(_is_empty(value) and dotted_name(target) == name for target, value in (*plain, *annotated))


def _is_empty(value: cst.BaseExpression | None) -> bool:
    if isinstance(value, cst.Dict):
        return not value.elements
    return isinstance(value, cst.Call) and called_name(value) in ("dict", "OrderedDict") and not value.args


def _key_sentence(facts: Facts) -> str:
    key, container = facts.values["key"], facts.values["container"]
    if facts.values["container_origin"] == "environment":
        return f"{facts.where} needs the environment variable {key}, which is not set"
    if facts.values["container_origin"] == "client":
        return f"{facts.where} reads the key {key} of `{container}`, which the client sent without it"
    if facts.values["key_origin"] == "client":
        return f"{facts.where} looks up `{key}`, which the client sent, in `{container}`, where it does not exist"
    return f"{facts.where} reads the key {key} of `{container}`, which does not have it"


def _length(site: Site, container: cst.CSTNode) -> int | None:
    if isinstance(container, cst.Name) and container.value in site.locals:
        return site.locals[container.value].length
    known, value = site.value(container)
    return len(value) if known and isinstance(value, (list, tuple, str)) else None


def _is_stored(site: Site, node: cst.CSTNode) -> bool:
    """Whether an item is written where it stands; only `list assignment index out of range` speaks of such."""
    return site.span.column is None and isinstance(site.tree.parent(node), cst.AssignTarget)


def _out_of_range(site: Site, node: cst.CSTNode) -> int:
    parts = _parts(node, pop_default=True)
    if parts is None or site.span.column is not None:
        return 0
    length, (known, index) = _length(site, parts[0]), site.value(parts[1])
    if length is None or not known or not isinstance(index, int):
        return 1
    return 2 if -length <= index < length else 0
