"""Why a field that is missing may be none that the client has to send; a refusal is then for a person to judge."""

from __future__ import annotations

import difflib
import json
import re
from typing import Iterator, List

import libcst as cst

from homeostasis_rules_python.code import presence
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.documented import documents
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, argument, literal_of

_USUALLY_LEFT_OUT = re.compile(
    r"^(?:page|per_?page|page_?size|limit|offset|skip|sort(?:_by|_order)?|order(?:_by)?|direction|q|query|search|filter"
    r"|lang|language|locale|format|cursor|verbose|pretty|debug|include|fields|expand|theme|tz|timezone)$",
    re.IGNORECASE,
)
"""Query parameters and cookies for which a service nearly always has a default."""
_USUAL_HEADERS = re.compile(
    r"^(?:accept.*|user-agent|refer+er|origin|range|dnt|if-.*|x-forwarded-.*|x-request-id|x-correlation-id|cache-control)$",
    re.IGNORECASE,
)
"""Headers that HTTP leaves to the client."""
_LIKENESS = 0.75
"""Least ratio of `difflib` at which a field that was sent may be the one that the code means."""
MAX_ARGUMENTS = 99
"""A position that no argument has: only the keyword counts."""
_DEFAULTED = 2
"""Fields with defaults that make the one without look forgotten."""


def of_missing_field(case: Case, site: Site, key: str, container: str, *, whole: bool, got: bool) -> str | None:
    """Why a field that is missing may be none that the client has to send.

    Args:
        case: the crash.
        site: where the field is read.
        key: its name.
        container: what it is read from, as the code spells it.
        whole: whether that is the whole body.
        got: whether it was read with `get`, which gives None.
    """
    return next(_of_missing_field(case, site, key, container, whole, got), None)


def of_what_was_sent(case: Case, site: Site, key: str) -> str | None:
    """Whether the client did send a field of the body, or one whose name is nearly the same and which nothing reads."""
    body = body_of(case)
    fields = [name for name in body if isinstance(name, str)] if isinstance(body, dict) else []
    if key in fields:
        return f"the client did send {key}"
    texts = {literal_of(each)[1] for each in site.tree.all(cst.SimpleString)}
    read = {each.key for each in presence.reads(site.tree)}
    for name in fields:
        likeness = difflib.SequenceMatcher(None, _plain(name), _plain(key)).ratio()
        unread = name not in read and (name in texts or likeness >= _LIKENESS)
        if unread or _plain(name) == _plain(key):
            return f"the client sent {name}, which is not read here"
    return None


def _of_missing_field(case: Case, site: Site, key: str, own: str, whole: bool, got: bool) -> Iterator[str]:
    told = of_what_was_sent(case, site, key) if whole else None
    if told is not None:
        yield told
    request = case.event.request
    if request is not None and request.method == "PATCH":
        yield "a PATCH sends what is to change, and nothing else"
    places = presence.of_field(case, key, own)
    fixed = [place for place in places if place.default is not None and presence.is_fixed(place.default)]
    if fixed:
        yield f"{fixed[0].where} reads {key} with a default"
    if any(presence.is_required(place) for place in places):
        return
    yield from _beside(site, key, own, got)
    free = [place for place in places if not place.needs and place.default is None and not got]
    if free:
        yield f"{free[0].where} reads {key} as one that may be missing"
    if site.function is not None and presence.says_optional(site.function.get_docstring() or "", key):
        yield f"the docstring calls {key} optional"
    for path in documents(case.source.root):
        if presence.says_optional(path.read_text(encoding="utf-8", errors="replace"), key):
            yield f"{path.name} calls {key} optional"
    yield from _clients(case, key)


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _beside(site: Site, key: str, own: str, got: bool) -> Iterator[str]:
    """What the function does with the other fields of the same container."""
    siblings = presence.siblings(site, key, own)
    function = site.function
    needed = {each.key for each in siblings if each.needs and not presence.is_required(each)}
    guarded = {each.key for each in siblings if presence.is_required(each)}
    defaulted = {each.key for each in siblings if each.default is not None}
    if function is not None:
        named = presence.checked(site.tree, function, own)
        if named and key not in named:
            yield f"the function refuses requests without {named[0]}, and says nothing of {key}"
        if _listed(site.tree, {each.key for each in siblings}, key):
            yield f"the file lists the fields that are required, and {key} is none of them"
    if len(defaulted) >= _DEFAULTED and not needed - guarded:
        yield f"the function reads {', '.join(sorted(defaulted)[:3])} with defaults"
    if got and (needed or defaulted):
        yield f"`get` says that {key} may be missing, where other fields are read otherwise"


def _listed(tree: Tree, others: set[str], key: str) -> bool:
    """Whether names are looked for one by one, in a list that has other fields of the function and not this one."""
    loops = any(
        isinstance(test.comparisons[0].operator, cst.NotIn) and isinstance(test.left, cst.Name)
        for test in tree.all(cst.Comparison)
    )
    listed: List[cst.Tuple | cst.List | cst.Set] = [*tree.all(cst.Tuple), *tree.all(cst.List), *tree.all(cst.Set)]
    for each in listed if loops else ():
        names = {literal_of(item.value)[1] for item in each.elements}
        if names & others and key not in names:
            return True
    return False


def _clients(case: Case, key: str) -> Iterator[str]:
    """Tests of the app that send such a request without the field, and expect no refusal."""
    path = case.event.request.path if case.event.request is not None else ""
    for tree in case.trees(path.encode("utf-8", "replace")) if len(path) > 1 else ():
        for call in tree.all(cst.Call):
            sent = argument(call, MAX_ARGUMENTS, "json")
            if literal_of(argument(call, 0))[1] != path or not isinstance(sent, cst.Dict):
                continue
            fields = [literal_of(item.key)[1] for item in sent.elements if isinstance(item, cst.DictElement)]
            function = tree.function(call)
            statuses = [literal_of(each)[1] for each in tree.all(cst.Integer, function)] if function is not None else []
            refused = any(isinstance(each, int) and 400 <= each < 500 for each in statuses)
            if fields and len(fields) == len(sent.elements) and key not in fields and not refused:
                yield f"{tree.path}:{tree.range(call).start.line} sends such a request without {key}"


def body_of(case: Case) -> object:
    """The JSON of the recorded body; None if there is none that can be read."""
    request = case.event.request
    if request is None or not request.body or request.body_truncated:
        return None
    try:
        return json.loads(request.body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def of_usual_part(store: str | None, name: str) -> str | None:
    """Why a part of a request that is no body is usually left out."""
    if store in ("headers", "wsgi"):
        plain = name[len("HTTP_") :].replace("_", "-") if name.startswith("HTTP_") else name
        return f"clients need not send the header {plain}" if _USUAL_HEADERS.match(plain) else None
    if store in ("query", "cookies") and _USUALLY_LEFT_OUT.match(name):
        return f"services usually have a default for {name}"
    return None


def of_body(site: Site, body: cst.BaseExpression, name: str | None) -> str | None:
    """Why a body that is missing may be one that the client need not send.

    Args:
        site: where it is read.
        body: what reads it.
        name: what it is called.
    """
    node: cst.BaseExpression = body
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        node = found.value if found.kind == "assign" and found.value is not None else node
    if isinstance(node, cst.Call) and literal_of(argument(node, MAX_ARGUMENTS, "silent")) == (True, True):
        read = presence.siblings(site, "", name) if name is not None else []
        if read and all(each.default is not None for each in read):
            return "all that is read of the body has a default"
    return None
