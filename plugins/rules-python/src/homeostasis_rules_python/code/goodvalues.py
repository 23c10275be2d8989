"""Why a value that the client sent may be good, and the app at fault; a refusal is then for a person to judge."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code import presence
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.doubts import body_of
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.recorded import refused_text
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of

_CACHE = re.compile(r"cache|memo|seen|loaded", re.IGNORECASE)
"""Names of containers that the app fills itself."""


def of_lookup(site: Site, container: cst.BaseExpression, key: cst.BaseExpression) -> str | None:
    """Why a key that is missing may be the fault of what the app holds."""
    return next(_of_lookup(site, container, key), None)


def _of_lookup(site: Site, container: cst.BaseExpression, key: cst.BaseExpression) -> Iterator[str]:
    tree, name = site.tree, dotted_name(container)
    if name is None:
        return
    if _CACHE.search(name) and any(True for _each in stored_into(tree, name)):
        yield f"`{name}` is filled by the app itself"
    found = was_found(site, key, name, tree.range(key).start.line)
    if found is not None:
        yield found
    for call in tree.all(cst.Call):
        given = called_name(call) == "get" and isinstance(call.func, cst.Attribute)
        if given and isinstance(call.func, cst.Attribute) and dotted_name(call.func.value) == name:
            default = argument(call, 1, "default")
            if default is not None and literal_of(default)[1] is not None:
                yield f"line {tree.range(call).start.line} has a default for what `{name}` lacks"


def stored_into(tree: Tree, name: str) -> Iterator[cst.Subscript]:
    """The places of a file that put an item into a container."""
    for target in tree.all(cst.AssignTarget):
        if isinstance(target.target, cst.Subscript) and dotted_name(target.target.value) == name:
            yield target.target


def was_found(site: Site, key: cst.BaseExpression, container: str, line: int) -> str | None:
    """Whether the function has refused, before that line, what is not in another container by that key."""
    tree, function, name = site.tree, site.function, dotted_name(key)
    if function is None or name is None:
        return None
    for test in tree.all(cst.If, function.body):
        start = tree.range(test).start.line
        if start >= line or not presence.refuses(tree, test.body):
            continue
        for made in (test.test, *_bound(tree, test.test)):
            if not any(dotted_name(each) == name for each in tree.all(cst.Name, made)):
                continue
            others = {dotted_name(each) for each in (*tree.all(cst.Name, made), *tree.all(cst.Attribute, made))}
            if container not in others and len(others - {name, "None", None}) > 0:
                return f"line {start} has found `{name}` already"
    return None


def _bound(tree: Tree, test: cst.BaseExpression) -> List[cst.BaseExpression]:
    """What the names of a test were assigned."""
    found = [binding(tree, each.value, each) for each in tree.all(cst.Name, test)]
    return [each.value for each in found if each.kind == "assign" and each.value is not None]


def of_index(site: Site, container: cst.BaseExpression) -> str | None:
    """Why an index beyond the end may be one that is brought into range elsewhere."""
    name = dotted_name(container)
    for item in site.tree.all(cst.Subscript) if name is not None else ():
        if dotted_name(item.value) != name or len(item.slice) != 1:
            continue
        rest = any(isinstance(each.operator, cst.Modulo) for each in site.tree.all(cst.BinaryOperation, item.slice[0]))
        clamps = any(called_name(each) in ("min", "max") for each in site.tree.all(cst.Call, item.slice[0]))
        if rest or clamps:
            return f"line {site.tree.range(item).start.line} brings the index of `{name}` into range"
    return None


def of_divisor(site: Site, divisor: cst.BaseExpression) -> str | None:
    """Why a divisor of zero may be one that has an answer: another place has one for a number of that name."""
    name = dotted_name(divisor)
    for choice in site.tree.all(cst.IfExp) if name is not None else ():
        tested = any(dotted_name(each) == name for each in site.tree.all(cst.Name, choice.test))
        divides = any(isinstance(each.operator, cst.Divide) for each in site.tree.all(cst.BinaryOperation, choice.body))
        if tested and divides:
            return f"line {site.tree.range(choice).start.line} has an answer for a `{name}` of zero"
    return None


def of_items(case: Case, site: Site, items: cst.BaseExpression, index: object = None) -> str | None:
    """Why too few items may be what the client is free to send."""
    tree, node = site.tree, items
    if isinstance(node, cst.Name):
        found = binding(tree, node.value, node)
        node = found.value if found.kind == "assign" and found.value is not None else node
    if isinstance(node, cst.BooleanOperation) and isinstance(node.operator, cst.Or):
        return "the code itself goes on where nothing was sent"
    if isinstance(node, cst.Call) and called_name(node) == "get" and argument(node, 1) is not None:
        return "the code itself has a default where nothing was sent"
    if isinstance(node, cst.Call) and called_name(node) in ("split", "rsplit") and index not in (0, -1, None):
        separator = argument(node, 0)
        text = literal_of(separator)[1] if separator is not None else " "
        credentials = "authorization" in tree.code(node).lower() or "header" in tree.code(node).lower()
        if isinstance(text, str) and not text.strip() and not credentials:
            return "a text may have fewer words"
    return declared_default(case, site, node)


def of_found(site: Site, items: cst.BaseExpression, asked: cst.BaseExpression | None) -> str | None:
    """Why nothing in what was looked up is no fault of who asked: that there is such a thing was made sure before."""
    tree, function, name = site.tree, site.function, dotted_name(items)
    line = tree.range(items).start.line
    for test in tree.all(cst.If, function.body) if function is not None and name is not None else ():
        tested = any(dotted_name(each) == name for each in tree.all(cst.Name, test.test))
        if tested and tree.range(test).start.line < line and presence.refuses(tree, test.body):
            return f"line {tree.range(test).start.line} has found `{name}` already"
    return was_found(site, asked, name or "", line) if asked is not None else None


def declared_default(case: Case, site: Site, node: cst.BaseExpression) -> str | None:
    """Whether a field of a model that the client sends has a default in its class."""
    if not isinstance(node, cst.Attribute) or not isinstance(node.value, cst.Name):
        return None
    found = binding(site.tree, node.value.value, node)
    given = found.node.annotation if isinstance(found.node, cst.Param) else None
    kind = dotted_name(given.annotation) if given is not None else None
    owner = app_class(case, kind) if kind is not None else None
    for line in owner[0].all(cst.AnnAssign, owner[1]) if owner is not None else ():
        if dotted_name(line.target) == node.attr.value and line.value is not None:
            required = isinstance(line.value, cst.Call) and argument(line.value, 0, "default") is None
            return None if required else f"`{kind}` declares a default for {node.attr.value}"
    return None


def of_text(case: Case, site: Site, text: cst.BaseExpression, place: str | None) -> str | None:
    """Why a text that cannot be read may be good: it is the app that reads it wrongly."""
    return next(_of_text(case, site, text, place), None)


def _of_text(case: Case, site: Site, text: cst.BaseExpression, place: str | None) -> Iterator[str]:
    tree = site.tree
    refused = refused_text(case)
    key = next((each.key for each in presence.reads(tree, text)), None)
    for attempt, line in falling_back(tree):
        if key is not None and any(each.key == key for each in presence.reads(tree, attempt)):
            yield f"line {line} goes on with a default where {key} cannot be read"
    if key is not None and called_fallback(tree, key):
        yield f"the file has a function that reads {key} and has a default for what cannot be read"
    if place == "path" and any(called_name(each) in ("split", "rsplit") for each in tree.all(cst.Call, text)):
        yield "the app takes the text apart itself"
    if refused is not None and case.raised.message.startswith(("time data", "Invalid isoformat")):
        known = _format_that_fits(case, refused)
        if known is not None:
            yield f"the app reads such dates elsewhere, as {known}"
    yield from _wrong_field(case, site, text, key)


def _wrong_field(case: Case, site: Site, text: cst.BaseExpression, key: str | None) -> Iterator[str]:
    body = body_of(case)
    statement = site.tree.statement(text)
    for target in site.tree.all(cst.AssignTarget, statement) if statement is not None and key is not None else ():
        name = dotted_name(target.target)
        if name != key and isinstance(body, dict) and name in body:
            yield f"`{name}` is read from {key}, and the client sent a {name} too"


def falling_back(tree: Tree) -> Iterator[Tuple[cst.Try, int]]:
    """The `try` statements of a file that go on with a default where a text cannot be read, and their lines."""
    for attempt in tree.all(cst.Try):
        for clause in attempt.handlers:
            kinds = tree.code(clause.type) if clause.type is not None else "ValueError"
            if ("ValueError" in kinds or "TypeError" in kinds) and not presence.refuses(tree, clause.body):
                yield attempt, tree.range(attempt).start.line


def called_fallback(tree: Tree, key: str) -> bool:
    """Whether a field is given to a function of the file that falls back."""
    named = {tree.function(attempt) for attempt, _line in falling_back(tree)}
    names = {each.name.value for each in named if each is not None}
    for call in tree.all(cst.Call):
        if called_name(call) in names:
            if any(literal_of(arg.value)[1] == key for arg in call.args):
                return True
            if any(each.key == key for arg in call.args for each in presence.reads(tree, arg)):
                return True
    return False


def _format_that_fits(case: Case, text: str) -> str | None:
    """A format of `strptime`, or ISO 8601, with which the app reads dates elsewhere and which fits the text."""
    for tree in case.trees(b"datetime"):
        for call in tree.all(cst.Call):
            form = literal_of(argument(call, 1))[1] if called_name(call) == "strptime" else None
            try:
                if called_name(call) == "fromisoformat":
                    datetime.fromisoformat(text)
                    return "ISO 8601"
                if isinstance(form, str):
                    datetime.strptime(text, form)  # only whether it fits
                    return form
            except ValueError:
                continue
    return None
