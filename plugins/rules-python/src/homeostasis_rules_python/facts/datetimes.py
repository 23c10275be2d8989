"""Dates and times: the module for the class, dates beside datetimes, days that a month does not have, and zones."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import with_keywords
from homeostasis_rules_python.code.origin import passed_argument
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import method_of, replacing

_OF_MODULE = re.compile(
    r"^module 'datetime' has no attribute '(now|utcnow|today|strptime|fromisoformat|fromtimestamp|combine)'"
)
_OF_CLASS = re.compile(r"^type object 'datetime\.datetime' has no attribute '(timedelta|timezone|date|datetime)'")
_KINDS = re.compile(
    r"can't compare datetime\.datetime to datetime\.date"
    r"|'datetime\.datetime' and 'datetime\.date'|'datetime\.date' and 'datetime\.datetime'"
)
_MIXED = re.compile(r"^can't (?:compare|subtract) offset-naive and offset-aware datetimes")
_ZULU = re.compile(r"^Invalid isoformat string: '[^']{10,40}[Zz]'")


@extracts("AttributeError", rank=32)
def class_and_module(case: Case, site: Site) -> Facts | None:
    """`mistake` is `datetime-class` for `datetime.now()` of the module, `datetime-module` for the reverse."""
    of_module, of_class = _OF_MODULE.match(case.raised.message), _OF_CLASS.match(case.raised.message)
    found = of_module or of_class
    for node in site.nodes(cst.Attribute) if found is not None else ():
        if not isinstance(node, cst.Attribute) or found is None or node.attr.value != found.group(1):
            continue
        written = site.tree.code(node)
        if of_module is not None:
            new: cst.BaseExpression = node.with_changes(value=cst.Attribute(node.value, cst.Name("datetime")))
            sentence = f"{{where}} asks the module datetime for `{written}`, which its class has"
            return replacing(case, site, "datetime-class", node, new, sentence)
        name = found.group(1)
        imports = [] if name == "datetime" else [f"datetime:{name}"]
        new = node.value if name == "datetime" else cst.Name(name)
        sentence = f"{{where}} asks the class datetime for `{written}`, which its module has"
        return replacing(case, site, "datetime-module", node, new, sentence, imports)
    return None


@extracts("TypeError", rank=26)
def date_beside_datetime(case: Case, site: Site) -> Facts | None:
    """`mistake` is `date-kind`: a datetime is compared with or taken from a date."""
    if not _KINDS.search(case.raised.message):
        return None
    for node in site.nodes(cst.Comparison, cst.BinaryOperation):
        right = node.comparisons[0].comparator if isinstance(node, cst.Comparison) else getattr(node, "right", None)
        left = getattr(node, "left", None)
        sides = [side for side in (left, right) if isinstance(side, cst.BaseExpression)]
        times = [side for side in sides if _is_datetime(site, side)]
        dates = [side for side in sides if side not in times and _is_date(site, side)]
        if len(times) != 1 or len(dates) != 1:
            continue
        time = times[0]
        made = time if isinstance(time, cst.Call) and called_name(time) in ("now", "utcnow") else None
        new = method_of(made or time, "date")
        sentence = f"{{where}} combines the time `{site.tree.code(time)}` with the date `{site.tree.code(dates[0])}`"
        return replacing(case, site, "date-kind", time, new, sentence)
    return None


def _made_by(site: Site, node: cst.BaseExpression) -> cst.BaseExpression | None:
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        return found.value if found.kind in ("assign", "module") else None
    return node


def _is_datetime(site: Site, node: cst.BaseExpression) -> bool:
    made = _made_by(site, node)
    calls = isinstance(made, cst.Call) and called_name(made) in (
        "now",
        "utcnow",
        "datetime",
        "strptime",
        "fromtimestamp",
    )
    return site.type_of(node) == "datetime" or calls


def _is_date(site: Site, node: cst.BaseExpression) -> bool:
    made = _made_by(site, node)
    named = dotted_name(made.func) if isinstance(made, cst.Call) else None
    if named is not None and named.split(".")[-1] in ("date", "today"):
        return True
    return site.type_of(node) == "date" or isinstance(node, (cst.Attribute, cst.Subscript)) or made is None


@extracts("ValueError", rank=26)
def day_out_of_range(case: Case, site: Site) -> Facts | None:
    """`mistake` is `day-range`: another month or year, which does not have the day."""
    if not re.match(r"^day is out of range for month|^day \d+ must be in range", case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) != "replace" or not isinstance(node.func, cst.Attribute):
            continue
        given = {arg.keyword.value: arg.value for arg in node.args if arg.keyword is not None}
        owner = dotted_name(node.func.value)
        if owner is None or len(given) != len(node.args) or not given or not set(given) <= {"year", "month"}:
            continue
        parts = [site.tree.code(given[part]) if part in given else f"{owner}.{part}" for part in ("year", "month")]
        day = f"min({owner}.day, calendar.monthrange({parts[0]}, {parts[1]})[1])"
        new = with_keywords(node, [("day", day)])
        sentence = f"{{where}} moves `{owner}` to a month that does not have its day"
        return replacing(case, site, "day-range", node, new, sentence, ["calendar"])
    return None


@extracts("ValueError", rank=27)
def zulu(case: Case, site: Site) -> Facts | None:
    """`mistake` is `zulu`: `fromisoformat` of a time that ends with Z, which Python takes from 3.11 on."""
    if not _ZULU.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and called_name(node) == "fromisoformat" and len(node.args) == 1:
            given = node.args[0].value
            new = method_of(given, "replace", cst.SimpleString('"Z"'), cst.SimpleString('"+00:00"'))
            sentence = f"{{where}} parses `{site.tree.code(given)}`, which ends with Z as JavaScript writes it"
            return replacing(case, site, "zulu", given, new, sentence)
    return None


@extracts("TypeError", rank=27)
def stored_without_zone(case: Case, site: Site) -> Facts | None:
    """`mistake` is `stored-zone`: a stored UTC time without zone beside `now(timezone.utc)`.

    The code base must show that such times are stored as UTC.
    """
    if not _MIXED.match(case.raised.message):
        return None
    stored = next((tree.path for tree in case.trees(b"utcnow") if b"utcnow" in case.source.read(tree.path)), None)
    for node in site.nodes(cst.BinaryOperation, cst.Comparison) if stored is not None else ():
        right = node.comparisons[0].comparator if isinstance(node, cst.Comparison) else getattr(node, "right", None)
        sides = [side for side in (getattr(node, "left", None), right) if isinstance(side, cst.BaseExpression)]
        aware = [side for side in sides if _is_aware(site, side)]
        others = [side for side in sides if side not in aware and isinstance(side, (cst.Attribute, cst.Subscript))]
        if len(aware) != 1 or len(others) != 1:
            continue
        zone = (
            "datetime.timezone.utc"
            if "datetime.timezone" in site.tree.code(_made_by(site, aware[0]) or aware[0])
            else "timezone.utc"
        )
        new = with_keywords(method_of(others[0], "replace"), [("tzinfo", zone)])
        naive = site.tree.code(others[0])
        sentence = f"{{where}} combines `{naive}`, stored in UTC without a zone ({stored}), with a time that has one"
        return replacing(case, site, "stored-zone", others[0], new, sentence)
    return None


def _is_aware(site: Site, node: cst.BaseExpression) -> bool:
    made = _made_by(site, node)
    return isinstance(made, cst.Call) and called_name(made) == "now" and "timezone.utc" in site.tree.code(made)


@extracts("TypeError", rank=55)
def naive_argument(case: Case, site: Site) -> Facts | None:
    """`naive` is `datetime.now()` without a zone that a caller hands over, to be combined with a time that has one."""
    if not _MIXED.match(case.raised.message):
        return None
    caller = case.caller(site)
    for node in site.nodes(cst.BinaryOperation, cst.Comparison) if caller is not None else ():
        right = node.comparisons[0].comparator if isinstance(node, cst.Comparison) else getattr(node, "right", None)
        for side in (getattr(node, "left", None), right):
            found = binding(site.tree, side.value, side) if isinstance(side, cst.Name) else None
            if found is None or caller is None or not isinstance(found.node, cst.Param) or site.function is None:
                continue
            given = passed_argument(caller, site.function, found.node)
            made = _made_by(caller, given) if given is not None else None
            if isinstance(made, cst.Call) and called_name(made) in ("now", "utcnow") and not made.args:
                facts = Facts.about(case, caller, made)
                facts.say("naive", made)
                facts.values["naive_call"] = called_name(made)
                shown = facts.values["naive"]
                facts.sentence = f"{facts.where} hands over `{shown}`, which has no time zone, where others have one"
                return facts
    return None
