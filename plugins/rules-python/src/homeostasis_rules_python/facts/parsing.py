"""Texts that cannot be read as what they should be: dates, UUIDs, decimals, members of an Enum, JSON and others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import origin, request_place
from homeostasis_rules_python.code.sent import is_whole_body
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_MEMBER = re.compile(r"^.{1,200} is not a valid (?:[\w.<>]{1,200}\.)?(\w{1,100})$", re.DOTALL)
_ARGUMENT = re.compile(
    r"^(int|float|complex)\(\) argument must be |^fromisoformat: argument must be |^strptime\(\) argument"
    r"|^conversion from .{1,80} to Decimal is not supported|^one of the hex, bytes|^the JSON object must be str"
    r"|^argument (for \w{1,20} )?should be|^must be str|^an integer is required"
)


@dataclass(frozen=True)
class Reader:
    """A function that reads a text, and what raises when it cannot."""

    kind: str
    wanted: str
    exceptions: Tuple[str, ...] = ("ValueError",)


_READERS: Dict[str, Reader] = {
    "int": Reader("number", "a whole number"),
    "float": Reader("number", "a number"),
    "Decimal": Reader("decimal", "a decimal number", ("InvalidOperation",)),
    "UUID": Reader("uuid", "a UUID"),
    "fromisoformat": Reader("date", "an ISO 8601 date"),
    "strptime": Reader("date", "a date"),
    "fromtimestamp": Reader("date", "a timestamp", ("OverflowError", "OSError", "ValueError")),
    "isoparse": Reader("date", "an ISO 8601 date"),
    "loads": Reader("json", "valid JSON"),
    "b64decode": Reader("encoded", "base64"),
    "urlsafe_b64decode": Reader("encoded", "base64"),
    "unhexlify": Reader("encoded", "hexadecimal"),
    "fromhex": Reader("encoded", "hexadecimal"),
    "ip_address": Reader("address", "an IP address"),
    "ip_network": Reader("address", "an IP network"),
    "ZoneInfo": Reader("timezone", "a time zone", ("ZoneInfoNotFoundError", "ValueError")),
}
_DATE_PART = re.compile(
    r"^(?:year|month|day|hour|minute|second|microsecond)(?: -?\d{1,20} is out of range| must be in |  ?is out of range)"
    r"|^day is out of range for month"
)
_DATES = {"date": 3, "datetime": 3, "time": 1}
_PATTERNS = frozenset(("compile", "search", "match", "fullmatch", "findall", "sub", "split", "finditer"))


@extracts(
    "ValueError", "TypeError", "AttributeError", "OverflowError", "OSError", "InvalidOperation", "JSONDecodeError",
    "Error", "error", "PatternError", "UnicodeDecodeError", "ZoneInfoNotFoundError", rank=45,
)  # fmt: skip
def unreadable(case: Case, site: Site) -> Facts | None:
    """Facts about a call that reads a text which is not what it should be: `text`, `kind`, `wanted`, `exceptions`."""
    kind = case.raised.type
    if kind in ("TypeError", "AttributeError") and not _about_argument(case):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call):
            continue
        found = _read(case, site, node)
        if found is not None:
            return _facts(case, site, node, *found)
    return None


def _about_argument(case: Case) -> bool:
    if case.raised.type == "AttributeError":
        return case.raised.message.endswith("has no attribute 'replace'")
    return _ARGUMENT.match(case.raised.message) is not None


def _read(case: Case, site: Site, node: cst.Call) -> Tuple[cst.BaseExpression, Reader] | None:
    """The text that a call reads, and how; None if the call did not raise this error."""
    kind, name = case.raised.type, called_name(node) or ""
    first = node.args[0].value if node.args and not node.args[0].star else None
    if kind in ("error", "PatternError"):
        is_pattern = first is not None and name in _PATTERNS and (dotted_name(node.func) or "").startswith("re.")
        return (first, Reader("pattern", "a regular expression", ("re.error",))) if is_pattern and first else None
    if kind == "UnicodeDecodeError" and name == "decode" and isinstance(node.func, cst.Attribute):
        return node.func.value, Reader("encoded", "UTF-8 text", ("UnicodeDecodeError",))
    if name == "json" and not node.args and request_place(node) == "body":
        return node, Reader("json", "valid JSON")
    member = _MEMBER.match(case.raised.message)
    if member is not None and first is not None and name == member.group(1):
        return first, Reader("enum", f"one of the values of {name}")
    if name in _DATES and len(node.args) >= _DATES[name] and kind == "ValueError" and first is not None:
        client = [arg.value for arg in node.args if origin(case, site, arg.value).from_client]
        return (client[0] if client else first), Reader("date", "a valid date")
    if kind == "ValueError" and _DATE_PART.match(case.raised.message):
        sent = [arg.value for arg in node.args if origin(case, site, arg.value).from_client]
        if sent:
            return sent[0], Reader("date", "a valid date or time")
    reader = _READERS.get(name)
    if reader is None or first is None or not _raises(reader, kind):
        return None
    return first, reader


def _raises(reader: Reader, kind: str) -> bool:
    """Whether an error is of those that a reader raises for a text that is wrong, or for something that is no text."""
    if kind in ("TypeError", "AttributeError"):
        return kind == "TypeError" or reader.kind == "uuid"
    if kind == "UnicodeDecodeError":
        return reader.kind == "json"
    if reader.kind in ("decimal", "timezone"):
        return kind in (*reader.exceptions, "InvalidOperation")
    return True


def _facts(case: Case, site: Site, node: cst.Call, text: cst.BaseExpression, reader: Reader) -> Facts | None:
    if reader.kind == "number" and case.raised.type == "ValueError":
        # `operands.conversion` knows more about numbers.
        return None
    facts = Facts.about(case, site, node)
    facts.say("text", text)
    extra = case.raised.type if case.raised.type in ("TypeError", "AttributeError", "OverflowError") else None
    exceptions = reader.exceptions if extra in (None, *reader.exceptions) else (extra, *reader.exceptions)
    facts.values.update(
        kind=reader.kind,
        wanted=reader.wanted,
        reader=called_name(node),
        exceptions=[name for name in exceptions if name],
        whole_body=is_whole_body(site, text),
        missing=extra == "TypeError",
    )
    facts.blame("text", origin(case, site, text))
    facts.sentence = f"{facts.where} reads `{facts.values['text']}`, which is not {reader.wanted}"
    return facts
