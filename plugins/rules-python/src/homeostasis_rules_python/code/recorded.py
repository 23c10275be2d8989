"""What the recorded request says about a value that the code alone does not explain."""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Dict, Iterator, List, Tuple
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

import libcst as cst

from homeostasis.models import Request
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import argument, literal_of, subscript_key
from homeostasis_rules_python.code.web import Place

MAX_VALUES = 5000
"""Values of a request that are looked at."""
MAX_FIELDS = 200
MAX_DEPTH = 20
"""Parts of a path that are compared with the request."""
MAX_SEARCHED = 10_000
"""Characters of a value that are searched for a word."""
SHORTEST = 3
"""Length from which a value that also stands in the request is not there by chance, in characters."""

_MAPPINGS: Dict[str, Place] = {
    "ImmutableMultiDict": "query",
    "CombinedMultiDict": "query",
    "QueryParams": "query",
    "FormData": "form",
    "EnvironHeaders": "headers",
    "Headers": "headers",
}
"""Classes of Werkzeug and Starlette that hold what the client sent."""
_REFUSED = re.compile(
    r"(?:^invalid literal for int\(\) with base \d{1,2}: |^could not convert string to float: "
    r"|^Invalid isoformat string: |^time data (?=['\"]))(['\"].{0,2000})$",
    re.DOTALL,
)
_READ = ("get", "getlist", "getall")
_DIGITS = re.compile(r"^[+-]?\d{1,4000}$")


class Sent:
    """The values of a request."""

    def __init__(self, request: Request) -> None:
        """Take the request apart."""
        self.body = _body(request)
        self.query = _pairs(request.query)
        self.form = _pairs(_form(request))
        self.path = request.path.split("/")
        self.objects: List[Tuple[str, ...]] = []
        self.fields: List[Tuple[Place, str, str]] = [
            *(("query", name, value) for name, value in self.query),
            *(("form", name, value) for name, value in self.form),
        ]
        self.values = set()
        for item in _walk(self.body):
            if isinstance(item, dict):
                self.objects.append(tuple(sorted(map(repr, item))))
                self.fields += [("body", name, str(each)) for name, each in item.items() if _is_plain(each)]
            elif not isinstance(item, list):
                self.values.add(str(item))

    def named(self, name: str, text: str) -> Place | None:
        """The part of the request that has a field of that name with that value."""
        return next((place for place, field, value in self.fields if field == name and value == text), None)

    def holding(self, text: str) -> Place | None:
        """The part of the request that has a value which is the text, whatever its field is called."""
        if text in self.path:
            return "path"
        found: Place | None = next((place for place, _field, value in self.fields if value == text), None)
        return found or ("body" if text in self.values else None)

    def with_keys(self, keys: Tuple[str, ...]) -> Place | None:
        """The part of the request that has exactly the fields with these names, given as their reprs."""
        wanted = tuple(sorted(keys))
        if not wanted:
            return None
        if wanted in self.objects:
            return "body"
        names = {name for name, _value in self.query}
        if wanted == tuple(sorted(map(repr, names))):
            return "query"
        return "form" if wanted == tuple(sorted({repr(name) for name, _value in self.form})) else None


_SENT: WeakKeyDictionary[Case, Sent | None] = WeakKeyDictionary()


def sent(case: Case) -> Sent | None:
    """The values of a case's request, taken apart once; None without a request."""
    if case not in _SENT:
        _SENT[case] = Sent(case.event.request) if case.event.request is not None else None
    return _SENT[case]


def sent_by_client(
    case: Case, site: Site, node: cst.CSTNode, refused: str | None = None, *, named_only: bool = False
) -> Place | None:
    """The part of the request that holds the expression's value; None if it does not or says too little.

    A container counts if it is a framework's, or if an object of the body, the query or the form has exactly its keys;
    a text or number if it has three characters or more, if the field that it is read from has that value, or if it was
    refused for not being a number or a date.

    Args:
        case: the crash.
        site: where the expression stands.
        node: the expression.
        refused: its value, where the exception tells.
        named_only: whether only a field that is called as in the code counts.
    """
    request = sent(case)
    if request is None:
        return None
    known, value = (True, refused) if refused is not None else site.value(node)
    if not known or not _is_plain(value):
        return None if named_only else _container(request, site, node)
    text = str(value)
    field = read_field(node) or (node.value if isinstance(node, cst.Name) else None)
    named = request.named(field, text) if field is not None else None
    telling = len(text) >= SHORTEST or (refused is not None and text.strip() and not _DIGITS.match(text))
    return named or (request.holding(text) if telling and not named_only else None)


def refused_text(case: Case) -> str | None:
    """The text that the exception quotes as what cannot be converted; None if it quotes none."""
    found = _REFUSED.match(case.raised.message) if case.raised.type == "ValueError" else None
    quoted = found.group(1) if found is not None else ""
    if case.raised.message.startswith("time data "):
        quoted = quoted.split(" does not match format ")[0]
    try:
        text = ast.literal_eval(quoted) if quoted else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return text if isinstance(text, str) else None


def field_with_word(case: Case, word: str) -> Tuple[Place, str] | None:
    """The part of the request, and the field in it, whose value has the word in it; a part of a path has no field."""
    request = sent(case)
    if request is None:
        return None
    whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    for place, field, value in request.fields:
        if whole.search(value[:MAX_SEARCHED]):
            return place, field
    return ("path", "") if any(whole.fullmatch(part) for part in request.path) else None


def named_file(case: Case, path: str) -> Place | None:
    """The part of the request that names the file: its last parts are a value, or the last parts of the URL."""
    request, parts = sent(case), path.replace("\\", "/").split("/")
    if request is None or len(parts[-1]) < SHORTEST:
        return None
    if parts[-1] == request.path[-1]:
        return "path"
    tails = {"/".join(parts[-count:]) for count in range(1, min(len(parts), MAX_DEPTH) + 1)}
    return next((place for place, _field, value in request.fields if value.strip("/") in tails), None)


def read_field(node: cst.CSTNode | None) -> str | None:
    """The field that `data["name"]`, `args.get("name")` or `args.getlist("name")` reads; None for anything else."""
    key: cst.CSTNode | None = None
    if isinstance(node, cst.Subscript):
        key = subscript_key(node)
    elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in _READ:
        key = argument(node, 0)
    value = literal_of(key)[1]
    return value if isinstance(value, str) else None


def _container(request: Sent, site: Site, node: cst.CSTNode) -> Place | None:
    """Of `args`, `args["page"]` and `args.get("page")`, where the local `args` is what the client sent."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "get":
        node = node.func.value
    elif isinstance(node, cst.Subscript):
        node = node.value
    local = site.locals.get(node.value) if isinstance(node, cst.Name) else None
    if local is None:
        return None
    if local.type in _MAPPINGS and (local.module or "").split(".")[0] in ("werkzeug", "starlette"):
        return _MAPPINGS[local.type]
    return request.with_keys(local.keys) if local.keys is not None else None


def _pairs(text: str) -> List[Tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return []


def _form(request: Request) -> str:
    """The body of a plain form; empty if it is none."""
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    if request.body_truncated or not kind.startswith("application/x-www-form-urlencoded"):
        return ""
    return request.body.decode("utf-8", "replace")


def _body(request: Request) -> Any:
    if request.body_truncated or not request.body:
        return None
    try:
        return json.loads(request.body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _walk(document: Any) -> Iterator[Any]:
    pending = [document]
    for _count in range(MAX_VALUES):
        if not pending:
            return
        current = pending.pop()
        yield current
        if isinstance(current, dict):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
