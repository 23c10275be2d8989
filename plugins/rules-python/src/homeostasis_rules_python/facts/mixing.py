"""Text, bytes, numbers and lists where another of them is needed."""

from __future__ import annotations

import re
from typing import Iterator

import libcst as cst

from homeostasis_rules_python.code.callee import callee
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.operands import NUMBER
from homeostasis_rules_python.facts.replacing import call_of, method_of, replacing

_JOINED = re.compile(
    r"^sequence item \d+: expected str instance, (int|float|bool|Decimal|UUID|date|datetime|PosixPath) f"
)
_NEEDS_BYTES = re.compile(
    r"^a bytes-like object is required, not 'str'|must be encoded before hashing|first arg must be bytes or a tuple"
    r"|^key: expected bytes or bytearray, but got 'str'"
)
_TEXT_METHODS = frozenset(
    (
        "split",
        "rsplit",
        "partition",
        "rpartition",
        "replace",
        "strip",
        "startswith",
        "endswith",
        "find",
        "count",
        "index",
    )
)
_TAKES_BYTES = frozenset(
    ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "new", "update", "b64encode", "send",
     "urlsafe_b64encode", "b32encode", "hexlify", "crc32", "adler32", "compress", "sendall", "sendto")
)  # fmt: skip


@extracts("TypeError", rank=32)
def joined_numbers(case: Case, site: Site) -> Facts | None:
    """`mistake` is `join`: a text is joined of values that are none."""
    if not _JOINED.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) != "join" or len(node.args) != 1:
            continue
        given = node.args[0].value
        sentence = f"{{where}} joins the items of `{site.tree.code(given)}`, which are no text"
        if isinstance(given, (cst.GeneratorExp, cst.ListComp)):
            return replacing(case, site, "join", given.elt, call_of("str", given.elt), sentence)
        return replacing(case, site, "join", given, call_of("map", cst.Name("str"), given), sentence)
    return None


@extracts("TypeError", rank=33)
def bytes_and_text(case: Case, site: Site) -> Facts | None:
    """`mistake` is `concatenated`, `bytes-literal` or `needs-bytes`."""
    message = case.raised.message
    if message.startswith(('can only concatenate str (not "bytes")', "can't concat str to bytes")):
        return _concatenated(case, site, "decode" if message.startswith("can only") else "encode")
    if not _NEEDS_BYTES.search(message):
        return None
    for node in site.nodes(cst.Call, cst.Comparison):
        for target, new in _as_bytes(node):
            sentence = f"{{where}} passes the text `{site.tree.code(target)}` where bytes are needed"
            kind = "bytes-literal" if isinstance(new, cst.SimpleString) else "needs-bytes"
            return replacing(case, site, kind, target, new, sentence)
    return None


def _concatenated(case: Case, site: Site, method: str) -> Facts | None:
    for node in site.nodes(cst.BinaryOperation):
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            right = node.right
            sentence = f"{{where}} puts text and bytes together, with `{site.tree.code(right)}`"
            literal = _bytes_literal(right) if method == "encode" else None
            return replacing(case, site, "concatenated", right, literal or method_of(right, method), sentence)
    return None


def _as_bytes(node: cst.CSTNode) -> Iterator[tuple[cst.BaseExpression, cst.BaseExpression]]:
    if isinstance(node, cst.Comparison) and isinstance(node.comparisons[0].operator, (cst.In, cst.NotIn)):
        literal = _bytes_literal(node.left)
        if literal is not None:
            yield node.left, literal
    if not isinstance(node, cst.Call) or not node.args:
        return
    first = node.args[0].value
    literal = _bytes_literal(first)
    if called_name(node) in _TEXT_METHODS and isinstance(node.func, cst.Attribute) and len(node.args) == 1:
        if literal is not None:
            yield first, literal
    elif called_name(node) in _TAKES_BYTES:
        for arg in node.args:
            if isinstance(
                arg.value, (cst.Name, cst.Attribute, cst.Subscript, cst.Call, cst.FormattedString, cst.BinaryOperation)
            ):
                known = isinstance(arg.value, cst.Call) and called_name(arg.value) in ("encode", "bytes")
                if not known and dotted_name(arg.value) not in _digests(node):
                    yield arg.value, method_of(arg.value, "encode")


def _digests(call: cst.Call) -> Iterator[str | None]:
    """Arguments that name a hash function."""
    return (dotted_name(arg.value) for arg in call.args if (dotted_name(arg.value) or "").startswith("hashlib."))


def _bytes_literal(node: cst.BaseExpression) -> cst.SimpleString | None:
    """`b'x'` for `'x'`; None for what is no text of ASCII characters only."""
    known, value = literal_of(node)
    if not known or not isinstance(value, str) or not isinstance(node, cst.SimpleString) or not value.isascii():
        return None
    return None if node.prefix else cst.SimpleString(f"b{node.value}")


@extracts("AttributeError", rank=33)
def decoded_text(case: Case, site: Site) -> Facts | None:
    """`mistake` is `decoded`: text is decoded once more."""
    if not case.raised.message.startswith("'str' object has no attribute 'decode'"):
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and called_name(node) == "decode":
            owner = node.func.value
            sentence = f"{{where}} decodes `{site.tree.code(owner)}`, which is text already"
            return replacing(case, site, "decoded", node, owner, sentence)
    return None


_UNHASHABLE = re.compile(r"unhashable type: '(list|set|bytearray)'")
_HASHABLE = {"list": "tuple", "set": "frozenset", "bytearray": "bytes"}


@extracts("TypeError", rank=34)
def unhashable(case: Case, site: Site) -> Facts | None:
    """`mistake` is `unhashable`: a list or set as a key of a dict or a member of a set."""
    found = _UNHASHABLE.search(case.raised.message)
    if found is None:
        return None
    maker = _HASHABLE[found.group(1)]
    for node in site.nodes(cst.Subscript, cst.Call, cst.Comparison):
        target = _hashed(node)
        collected = isinstance(node, cst.Call) and called_name(node) in _COLLECTORS
        if target is None or (site.type_of(target) not in (found.group(1), None) and not collected):
            continue
        new = call_of(maker, target)
        if collected:
            if not _alike(site, target, found.group(1)) or isinstance(site.tree.parent(node), cst.BinaryOperation):
                return None
            new = call_of("map", cst.Name(maker), target)
        sentence = f"{{where}} uses a {found.group(1)} as a key, which can change and therefore be none"
        return replacing(case, site, "unhashable", target, new, sentence)
    return None


_COLLECTORS = frozenset(("set", "frozenset", "Counter", "fromkeys"))


def _alike(site: Site, target: cst.BaseExpression, kind: str) -> bool:
    """Whether all items are of the type that cannot be hashed, as far as is known: only then all can be converted."""
    known, value = site.value(target)
    if known and isinstance(value, (list, tuple)):
        return all(type(item).__name__ == kind for item in value)
    return True


def _hashed(node: cst.CSTNode) -> cst.BaseExpression | None:
    if isinstance(node, cst.Subscript):
        index = node.slice[0].slice
        return index.value if len(node.slice) == 1 and isinstance(index, cst.Index) else None
    names = ("add", "discard", "get", "setdefault", "set", "frozenset", "Counter", "fromkeys")
    if isinstance(node, cst.Call) and called_name(node) in names and node.args and not node.args[0].star:
        return node.args[0].value
    return None


_COUNT = re.compile(
    r"^'(str|float)' object cannot be interpreted as an integer|^slice indices must be"
    r"|^\w+ indices must be integers or slices, not (str|float)"
)


@extracts("TypeError", rank=35)
def whole_number(case: Case, site: Site) -> Facts | None:
    """`mistake` is `division` for a quotient, `text-count` for a number as text, where a whole number is needed."""
    if not _COUNT.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call, cst.Subscript):
        for given in _counted(node):
            source = _quotient(site, given)
            if source is not None:
                new = source.with_changes(operator=cst.FloorDivide())
                sentence = f"{{where}} needs a whole number, but `{site.tree.code(source)}` gives a float"
                return replacing(case, site, "division", source, new, sentence)
            known, value = site.value(given)
            if known and isinstance(value, str) and NUMBER.match(value) and "." not in value:
                sentence = f"{{where}} needs a whole number, but `{site.tree.code(given)}` is the text {value!r:.40}"
                facts = replacing(case, site, "text-count", given, call_of("int", given), sentence)
                if facts is not None:
                    facts.values["doubtful"] = _is_made_elsewhere(case, site, given)
                return facts
    return None


def _is_made_elsewhere(case: Case, site: Site, given: cst.BaseExpression) -> bool:
    """Whether another function of the app gave the value: it may be the one that has to convert it, for all callers."""
    found = binding(site.tree, given.value, given) if isinstance(given, cst.Name) else None
    value = found.value if found is not None and found.kind == "assign" else given
    return isinstance(value, cst.Call) and callee(case, site.tree, value) is not None


def _counted(node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.Call):
        yield from (arg.value for arg in node.args if not arg.star)
    elif isinstance(node, cst.Subscript):
        for element in node.slice:
            if isinstance(element.slice, cst.Index):
                yield element.slice.value
            elif isinstance(element.slice, cst.Slice):
                yield from (each for each in (element.slice.lower, element.slice.upper) if each is not None)


def _quotient(site: Site, node: cst.BaseExpression) -> cst.BinaryOperation | None:
    value: cst.CSTNode | None = node
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        value = found.value if found.kind == "assign" else None
    divides = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Divide)
    return value if divides and isinstance(value, cst.BinaryOperation) else None
