"""What is done before a refusal goes live: what the code base has for a missing field comes first, doubts are asked."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, replace
from typing import Iterable, Iterator, List, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code import doubts, goodvalues, presence
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.known import known_keys
from homeostasis_rules_python.code.origin import request_place
from homeostasis_rules_python.code.sent import is_whole_body
from homeostasis_rules_python.code.tree import argument, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change

MAX_QUOTED = 200
"""Characters of a key that an exception quotes."""
_DOUBTFUL = 0.8
"""Factor on the weight of a refusal that the code speaks against."""
COMMA = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


@dataclass(frozen=True)
class Field:
    """A field of the request that was read and not there."""

    node: cst.Subscript | cst.Call
    container: cst.BaseExpression
    key: str
    got: bool
    """Whether it was read with `get`, which gave None."""


def weighed(facts: Facts, changes: Iterable[Change]) -> Iterator[Change]:
    """The changes; refusals behind what the code base itself does, and asked about where it speaks against them."""
    made = list(changes)
    unasked = [change for change in made if change.effect is Effect.REFUSE and change.risk is not Risk.HIGH]
    if not unasked:
        yield from made
        return
    instead = list(_instead(facts))
    doubt = instead[0].evidence[0] if instead else doubt_of(facts)
    yield from instead
    for change in made:
        if change.effect is Effect.REFUSE and doubt is not None:
            weight = change.weight * _DOUBTFUL if instead else change.weight
            yield replace(change, risk=Risk.HIGH, weight=weight, evidence=(*change.evidence, f"but {doubt}"))
        else:
            yield change


def missing_field(facts: Facts) -> Field | None:
    """The field that the client left out, if that is what crashed."""
    key, container, read = facts.nodes.get("key"), facts.nodes.get("container"), facts.node
    if key is not None and container is not None and facts.values.get("container_origin") == "client":
        literal = literal_of(key)[1]
        known = isinstance(literal, str) and isinstance(read, cst.Subscript)
        return Field(read, container, literal, False) if known else None  # type: ignore[arg-type]
    for part in ("lookup", "subject", "text"):
        node = facts.nodes.get(part)
        origin = facts.values.get("text_origin" if part == "text" else "subject_origin")
        missing = facts.values.get("missing") if part == "text" else True
        if isinstance(node, cst.Call) and called_name(node) == "get" and origin == "client" and missing:
            literal = literal_of(argument(node, 0))[1]
            if isinstance(node.func, cst.Attribute) and isinstance(literal, str):
                return Field(node, node.func.value, literal, True)
    return None


def _instead(facts: Facts) -> Iterator[Change]:
    """Changes that go on without the field as the code base does."""
    field = missing_field(facts)
    if field is None:
        yield from _lookups(facts)
        return
    if field.got and len(field.node.args if isinstance(field.node, cst.Call) else ()) != 1:
        return
    found = _stands(facts, field)
    if found is None:
        return
    text, evidence = found
    edits = Edits(facts.site.tree)
    for node in _same(facts, field):
        edits.replace(node, _reading(field, text))
    summary = f"Use {text} when {field.key} is missing"
    yield Change((edits,), Effect.RECOVER, summary, f"The client left it out; {evidence}.", 1.0, Risk.LOW, (evidence,))


def _same(facts: Facts, field: Field) -> List[cst.BaseExpression]:
    """The places of the function that read the field in the same way from the same container."""
    site, own = facts.site, dotted_name(field.container)
    if site.function is None or own is None or field.got:
        return [field.node]
    found = [
        read.node for read in presence.reads(site.tree, site.function.body) if isinstance(read.node, cst.Subscript)
    ]
    code = site.tree.code(field.node).strip()
    return [field.node, *(each for each in found if each is not field.node and site.tree.code(each).strip() == code)]


def _reading(field: Field, text: str) -> cst.Call:
    getter = cst.Attribute(field.container, cst.Name("get"))
    key = expression(repr(field.key))
    if isinstance(field.node, cst.Call):
        getter, key = field.node.func, field.node.args[0].value  # type: ignore[assignment]
    elif isinstance(field.node.slice[0].slice, cst.Index):
        key = field.node.slice[0].slice.value
    if text == "None":
        return cst.Call(getter, [cst.Arg(key)])
    return cst.Call(getter, [cst.Arg(key, comma=COMMA), cst.Arg(expression(text))])


def _stands(facts: Facts, field: Field) -> Tuple[str, str] | None:
    """What stands for the field, by the code base, and where that is said."""
    case, site = facts.case, facts.site
    own = dotted_name(field.container) or ""
    if is_whole_body(site, field.container) and doubts.of_what_was_sent(case, site, field.key) is not None:
        return None
    places = presence.of_field(case, field.key, own)
    others = [place for place in places if place.node is not field.node]
    if any(presence.is_required(place) for place in others):
        return None
    defaulted = [place for place in others if place.default is not None and presence.is_fixed(place.default)]
    needing = [place for place in others if place.needs]
    texts = Counter(place.tree.code(place.default).strip() for place in defaulted if place.default is not None)
    usable = [place for place in defaulted if _reaches(site.path, place)]
    if usable and len(texts) == 1 and len(needing) <= len(defaulted):
        text = next(iter(texts))
        if text != "None" or not _is_used(facts, field.node):
            return text, f"{usable[0].where} uses {text} for a missing {field.key}"
    if not field.got:
        handled = presence.own_handling(site.tree, field.node)
        if handled is not None:
            return "None", handled
        kept = presence.kept_value(site, field.node, own)
        if kept is not None:
            return kept, "the function keeps what was there where other fields are missing"
    return None if needing else _declared(facts, field, [*others])


def _declared(facts: Facts, field: Field, others: List[presence.Read]) -> Tuple[str, str] | None:
    signature = presence.signature_default(facts.case, field.key) if facts.values.get("store") == "query" else None
    if signature is not None:
        return signature
    given = presence.parameter_default(facts.case, facts.site, field.node)
    if given is not None and literal_of(given[0])[1] is not None:
        return facts.site.tree.code(given[0]).strip(), given[1]
    free = [place for place in others if not place.needs and place.default is None]
    if free and not _is_used(facts, field.node) and not field.got and all(not _works(place) for place in free):
        return "None", f"{free[0].where} takes {field.key} as it comes, None where it is missing"
    return None


def _reaches(path: str, place: presence.Read) -> bool:
    """Whether a default can be written here too: constants of another file are not known."""
    return place.tree.path == path or not isinstance(place.default, cst.Name) or literal_of(place.default)[0]


def _works(place: presence.Read) -> bool:
    return isinstance(place.tree.parent(place.node), (cst.Attribute, cst.Subscript, cst.BinaryOperation, cst.If))


def _is_used(facts: Facts, node: cst.BaseExpression) -> bool:
    """Whether something is done with a value that None would not stand: more than to pass it on or to keep it."""
    return isinstance(
        facts.site.tree.parent(node), (cst.Attribute, cst.Subscript, cst.BinaryOperation, cst.Comparison, cst.For)
    )


_NORMALISING = frozenset(("lower", "upper", "strip", "casefold", "title", "capitalize"))


def _lookups(facts: Facts) -> Iterator[Change]:
    """`RATES[code.lower()]`, where the file looks up so elsewhere."""
    key, container = facts.nodes.get("key"), facts.nodes.get("container")
    tree = facts.site.tree
    name = dotted_name(container)
    if key is None or name is None or facts.values.get("key_origin") != "client" or not is_repeatable(key):
        return
    for used in _keys(facts, name):
        methods = _normalising(used)
        value = _sought(facts)
        if not methods or value is None or _normalising(key) or _applied(value, methods) == value:
            continue
        new: cst.BaseExpression = key
        for method in methods:
            new = cst.Call(cst.Attribute(new, cst.Name(method)))
        edits = Edits(tree)
        edits.replace(key, new)
        code = tree.code(new)
        evidence = f"line {tree.range(used).start.line} looks `{name}` up by `{tree.code(used).strip()}`"
        yield Change.because((edits,), Effect.CORRECT, f"Look `{name}` up by `{code}`", evidence)
        return


def _normalising(key: cst.BaseExpression) -> List[str]:
    """`["strip", "lower"]` of `key.strip().lower()`."""
    found: List[str] = []
    while isinstance(key, cst.Call) and isinstance(key.func, cst.Attribute) and not key.args:
        if key.func.attr.value not in _NORMALISING:
            return []
        found.append(key.func.attr.value)
        key = key.func.value
    return found[::-1]


def _applied(value: str, methods: List[str]) -> str:
    for method in methods:
        value = getattr(value, method)()
    return value


def _keys(facts: Facts, name: str) -> Iterator[cst.BaseExpression]:
    """The keys by which a file reads or fills a container, and those that it looks for in it."""
    tree = facts.site.tree
    for item in tree.all(cst.Subscript):
        index = item.slice[0].slice if len(item.slice) == 1 else None
        if dotted_name(item.value) == name and isinstance(index, cst.Index):
            yield index.value
    for call in tree.all(cst.Call):
        getter = call.func if isinstance(call.func, cst.Attribute) else None
        if getter is not None and getter.attr.value == "get" and dotted_name(getter.value) == name and call.args:
            yield call.args[0].value
    for each in tree.all(cst.Comparison):
        target = each.comparisons[0]
        if isinstance(target.operator, (cst.In, cst.NotIn)) and dotted_name(target.comparator) == name:
            yield each.left


def doubt_of(facts: Facts) -> str | None:
    """Why the app itself may be at fault, and not the client; None if nothing speaks for that."""
    return next((each for each in _doubts(facts) if each is not None), None)


def _doubts(facts: Facts) -> Iterator[str | None]:
    case, site, values, nodes = facts.case, facts.site, facts.values, facts.nodes
    field = missing_field(facts)
    if field is not None:
        own = dotted_name(field.container) or ""
        whole = is_whole_body(site, field.container)
        place = values.get("store") or request_place(field.container)
        yield doubts.of_usual_part(place, field.key)
        yield doubts.of_missing_field(case, site, field.key, own, whole=whole, got=field.got)
        return
    subject = nodes.get("lookup") or nodes.get("subject")
    if subject is not None and values.get("subject_origin") == "client":
        yield doubts.of_body(site, subject, dotted_name(nodes.get("subject")))
        yield goodvalues.declared_default(case, site, subject)
        if isinstance(subject, cst.Call) and called_name(subject) == "get" and len(subject.args) > 1:
            yield "the code has a default where it is missing, and null was sent"
    if "key" in nodes and "container" in nodes and values.get("key_origin") == "client":
        yield _of_key(facts)
    if "index" in nodes and "container" in nodes and values.get("index_origin") == "client":
        yield goodvalues.of_index(site, nodes["container"])
    if "divisor" in nodes:
        yield goodvalues.of_divisor(site, nodes["divisor"])
    if "container" in nodes and values.get("container_origin") == "client" and "key" not in nodes:
        yield goodvalues.of_items(case, site, nodes["container"], values.get("index_literal"))
    elif "container" in nodes and values.get("lookup_origin") == "client":
        yield goodvalues.of_found(site, nodes["container"], nodes.get("asked"))
    if "text" in nodes and values.get("text_origin") == "client":
        yield goodvalues.of_text(case, site, nodes["text"], values.get("text_place"))


def _of_key(facts: Facts) -> str | None:
    site, key, container = facts.site, facts.nodes["key"], facts.nodes["container"]
    value = _sought(facts)
    if facts.values.get("typed_key") is not None:
        return f"`{facts.values['container']}` has keys of another type"
    if value is not None:
        held = known_texts(facts, container)
        if value not in held and {value.lower(), value.upper(), value.strip(), value.strip().lower()} & held:
            return f"`{facts.values['container']}` has that key in another spelling"
    return goodvalues.of_lookup(site, container, key)


def _sought(facts: Facts) -> str | None:
    """The text that was looked up, as the frame had it or as the exception quotes it."""
    known, value = facts.site.value(facts.nodes["key"])
    message = facts.case.raised.message
    if not known and len(message) <= MAX_QUOTED:
        try:
            value = ast.literal_eval(message)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, str) else None


def known_texts(facts: Facts, container: cst.BaseExpression) -> set[str]:
    """The texts that are known to be keys of a container."""
    return {each for each in known_keys(facts.site, container) if isinstance(each, str)}
