"""What else is known about a missing key: the store that lacks it, keys that nearly fit, and how it would be filled."""

from __future__ import annotations

import difflib
from typing import Dict

import libcst as cst

from homeostasis_rules_python.code.known import is_enum, known_keys
from homeostasis_rules_python.code.loading import loader_of
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts

_STORES: Dict[str, str] = {
    "headers": "headers",
    "cookies": "cookies",
    "form": "form",
    "files": "files",
    "args": "query",
    "query_params": "query",
    "values": "query",
    "path_params": "path",
    "view_args": "path",
    "session": "session",
    "config": "config",
    "environ": "wsgi",
}
_SUMS = {"int": "number", "float": "number", "Decimal": "number", "Fraction": "number", "list": "list", "str": "text"}
_LIKENESS = 0.87
"""Least ratio of `difflib` at which two keys count as spellings of one."""
_MISSING = object()


def enrich(facts: Facts, container: cst.BaseExpression, key: cst.BaseExpression) -> None:
    """Add to the facts about a missing key.

    `store` is where it is missing: `headers`, `cookies`, `form`, `files`, `query`, `path`, `session`, `config` or
    `wsgi`. `inner` is what is done with the item of a missing item: `number`, `text`, `list` or `set` if something is
    added to it, `assign`, `append` or another method, or `read`. `accumulates` is the same for the item itself.
    `near_key` and `typed_key` are keys that the container has instead, `loader` fills the container, `enum` says that
    it is an enumeration, and `unused` that nobody uses what is taken out.
    """
    values = facts.values
    values["store"] = _store(facts, container)
    values["enum"] = is_enum(facts.case, container)
    values["unused"] = _unused(facts)
    values["accumulates"] = _accumulates(facts, facts.node)
    _say_inner(facts)
    _say_keys(facts, container, key)
    loader = loader_of(facts.site, container, key)
    if loader is not None:
        values["loader"], sentence = loader
        facts.evidence.append(sentence)


def _store(facts: Facts, container: cst.BaseExpression) -> str | None:
    node: cst.CSTNode | None = container
    for _step in range(5):
        if isinstance(node, cst.Await):
            node = node.expression
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and not node.args:
            node = node.func
        elif isinstance(node, cst.Name) and node.value not in ("session", "environ"):
            found = binding(facts.site.tree, node.value, node)
            if found.kind != "assign":
                return None
            node = found.value
        else:
            break
    dotted = (dotted_name(node) or "").split(".")
    if dotted == ["session"]:
        return "session" if binding(facts.site.tree, "session", facts.node).kind == "import" else None
    owner = dotted[-2] if len(dotted) > 1 else ""
    if dotted[-1] == "config":
        return "config" if owner in ("app", "application", "current_app", "self", "bp") else None
    return _STORES.get(dotted[-1]) if owner in ("request", "req") else None


def _unused(facts: Facts) -> bool:
    parent = facts.site.tree.parent(facts.node)
    if isinstance(parent, cst.Del):
        return True
    return isinstance(facts.node, cst.Call) and isinstance(parent, cst.Expr)


def _accumulates(facts: Facts, node: cst.CSTNode) -> str | None:
    """What is added to the item by `item += ...`; None if nothing is."""
    parent = facts.site.tree.parent(node)
    if not isinstance(parent, cst.AugAssign) or parent.target is not node:
        return None
    if isinstance(parent.operator, cst.BitOrAssign):
        return "set" if _is_set(parent.value) else None
    if not isinstance(parent.operator, cst.AddAssign):
        return None
    if isinstance(parent.value, (cst.List, cst.ListComp)):
        return "list"
    if isinstance(parent.value, (cst.SimpleString, cst.FormattedString, cst.ConcatenatedString)):
        return "text"
    known = facts.site.type_of(parent.value)
    return _SUMS.get(known) if known is not None else "number"


def _is_set(node: cst.BaseExpression) -> bool:
    return isinstance(node, (cst.Set, cst.SetComp)) or (isinstance(node, cst.Call) and called_name(node) == "set")


def _say_inner(facts: Facts) -> None:
    tree = facts.site.tree
    outer = tree.parent(facts.node)
    if not isinstance(outer, cst.Subscript) or outer.value is not facts.node:
        return
    index = outer.slice[0].slice
    if len(outer.slice) != 1 or not isinstance(index, cst.Index):
        return
    around = tree.parent(outer)
    added = _accumulates(facts, outer)
    if added is not None:
        facts.values["inner"] = added
    elif isinstance(around, cst.AssignTarget):
        facts.values["inner"] = "assign"
    elif isinstance(around, cst.Attribute) and around.value is outer:
        facts.values["inner"] = around.attr.value
    else:
        facts.values["inner"] = "read"
    facts.say("outer", outer)
    facts.say("inner_key", index.value)
    facts.values["inner_literal"] = literal_of(index.value)[1]
    if isinstance(around, cst.AugAssign):
        facts.say("inner_amount", around.value)


def _say_keys(facts: Facts, container: cst.BaseExpression, key: cst.BaseExpression) -> None:
    keys = known_keys(facts.site, container)
    known, wanted = facts.site.value(key)
    if not keys:
        return
    facts.values["bom"] = isinstance(keys[0], str) and keys[0].startswith("\ufeff")
    if not known:
        wanted = _from_message(facts)
    others = {type(item) for item in keys}
    if isinstance(wanted, int) and not isinstance(wanted, bool) and others == {str}:
        facts.values["typed_key"], facts.values["typed_known"] = "str", str(wanted) in keys
    elif isinstance(wanted, str) and others == {int}:
        facts.values["typed_key"], facts.values["typed_known"] = "int", wanted.isdecimal() and int(wanted) in keys
    literal = literal_of(key)[1]
    if isinstance(literal, str):
        near = _near(literal, [item for item in keys if isinstance(item, str)])
        if near is not None and _is_slip(facts, literal, near):
            facts.values["near_key"] = near


def _from_message(facts: Facts) -> object:
    """The key that the exception names, where the code does not tell: a number or a plain text."""
    message = facts.case.raised.message
    if message.lstrip("-").isdecimal() and len(message) < 30:
        return int(message)
    quoted = len(message) > 1 and message[0] == message[-1] == "'" and message[1:-1].isalnum()
    return message[1:-1] if quoted else _MISSING


def _plain(text: str) -> str:
    return text.strip("\ufeff \t").casefold().replace("-", "_").replace(" ", "_")


def _is_slip(facts: Facts, wanted: str, near: str) -> bool:
    """Whether a key is another spelling of `near`, and not the name of something else.

    Two keys of one function, or one that the file uses more than once, are names of their own.
    """
    if _plain(wanted) == _plain(near):
        return True
    tree, function = facts.site.tree, facts.site.function
    texts = [literal_of(item)[1] for item in tree.all(cst.SimpleString)]
    own = [literal_of(item)[1] for item in tree.all(cst.SimpleString, function)] if function is not None else []
    return texts.count(wanted) == 1 and near not in own


def _near(wanted: str, keys: list[str]) -> str | None:
    """The one key that differs in case, surrounding blanks, separators or a letter or two."""
    same = [key for key in keys if _plain(key) == _plain(wanted)]
    if same:
        return same[0] if len(same) == 1 else None
    close = difflib.get_close_matches(wanted, keys, 2, _LIKENESS)
    return close[0] if len(close) == 1 and len(wanted) > 3 else None
