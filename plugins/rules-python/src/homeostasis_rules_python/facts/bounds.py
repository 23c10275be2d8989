"""Numbers out of the range that a function takes: negative limits, zero steps and page sizes, numbers too large."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Pattern, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import origin
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.facts.base import Facts, extracts

Bound = Tuple[str, Pattern[str], Tuple[str, ...]]
"""What the number must not be, the message that says so, and the functions that say it."""

_BOUNDS: Tuple[Bound, ...] = (
    ("negative", re.compile(r"for islice\(\) must be (None or )?an? (non-negative )?integer"), ("islice",)),
    ("negative", re.compile(r"^maxlen must be non-negative"), ("deque",)),
    ("negative", re.compile(r"(LIMIT|OFFSET) must not be negative"), ("execute", "limit", "offset", "all", "fetchall")),
    ("negative", re.compile(r"^(math domain error|expected a nonnegative input)"), ("sqrt", "isqrt")),
    ("negative", re.compile(r"^.{0,40}(not defined for negative|must be (a )?non-?negative)"),
     ("factorial", "isqrt", "comb", "perm")),
    ("negative", re.compile(r"^negative (count|argument not allowed|shift count)"),
     ("bytes", "bytearray", "urandom", "token_bytes", "token_hex", "token_urlsafe")),
    ("negative", re.compile(r"^(sleep length|number of bits) must be non-negative"),
     ("sleep", "randbytes", "getrandbits")),
    ("not positive", re.compile(r"^invalid width -?\d{1,20} \(must be > 0\)"), ("wrap", "fill", "shorten")),
    ("not positive", re.compile(r"^(n must be at least one|chunk size must be|step must be greater)"), ("batched",)),
    ("not positive", re.compile(r"^(math domain error|expected a positive input)"), ("log", "log2", "log10")),
    ("zero", re.compile(r"^range\(\) arg 3 must not be zero"), ("range",)),
    ("zero", re.compile(r"^integer (division or )?modulo by zero|^division by zero|^integer division"), ("divmod",)),
    ("sample", re.compile(r"^Sample larger than population or is negative"), ("sample",)),
    ("character", re.compile(r"^chr\(\) arg not in range"), ("chr",)),
    ("sqlite", re.compile(r"^Python int too large to convert to SQLite INTEGER"),
     ("execute", "executemany", "get", "all", "first", "one", "scalar", "scalars", "one_or_none", "get_or_404")),
    ("large", re.compile(r"^(date value out of range|Python int too large|days=|.{0,40}must have magnitude)"),
     ("timedelta",)),
)  # fmt: skip


@extracts("ValueError", "OverflowError", "ZeroDivisionError", "DataError", rank=35)
def out_of_bounds(case: Case, site: Site) -> Facts | None:
    """Facts about a number that a function does not take: `number`, `bound`, and `population` for a sample."""
    message = case.raised.message
    for bound, pattern, names in _BOUNDS:
        if not pattern.search(message):
            continue
        for node in site.nodes(cst.Call):
            if isinstance(node, cst.Call) and called_name(node) in names:
                facts = _about(case, site, node, bound)
                if facts is not None:
                    return facts
    return _slice_step(case, site) if message == "slice step cannot be zero" else None


def _about(case: Case, site: Site, node: cst.Call, bound: str) -> Facts | None:
    number = _number(case, site, node)
    if number is None:
        return None
    facts = Facts.about(case, site, node)
    facts.say("number", number)
    facts.values["bound"] = bound
    if bound == "sample" and node.args:
        facts.say("population", node.args[0].value)
    facts.blame("number", origin(case, site, number))
    facts.sentence = f"{facts.where} gives `{facts.values['number']}` to `{called_name(node)}`, which does not take it"
    return facts


def _number(case: Case, site: Site, node: cst.Call) -> cst.BaseExpression | None:
    """The one argument that the client sent; the last of several, because limits come last."""
    found = [part for part in _parts(node) if origin(case, site, part).from_client]
    large = [part for part in found if _is_extreme(site, part)]
    found = large or found
    return found[-1] if found else None


def _is_extreme(site: Site, node: cst.BaseExpression) -> bool:
    known, value = site.value(node)
    return known and isinstance(value, int) and (value <= 0 or value >= 2**31)


def _parts(node: cst.Call) -> Iterator[cst.BaseExpression]:
    for arg in node.args:
        value = arg.value
        if isinstance(value, (cst.Tuple, cst.List, cst.Dict)):
            yield from (item.value for item in value.elements)
        else:
            yield value
    owner = node.func.value if isinstance(node.func, cst.Attribute) else None
    if isinstance(owner, cst.Call):
        yield from _parts(owner)


def _slice_step(case: Case, site: Site) -> Facts | None:
    for node in site.nodes(cst.Subscript):
        part = node.slice[0].slice if isinstance(node, cst.Subscript) else None
        if isinstance(part, cst.Slice) and part.step is not None:
            facts = Facts.about(case, site, node)
            facts.say("number", part.step)
            facts.values["bound"] = "zero"
            facts.blame("number", origin(case, site, part.step))
            facts.sentence = f"{facts.where} takes steps of `{facts.values['number']}`, which is zero"
            return facts
    return None


TESTS: Dict[str, Tuple[str, str]] = {
    "negative": ("{0} < 0", "{} must not be negative"),
    "not positive": ("{0} <= 0", "{} must be greater than 0"),
    "zero": ("{0} == 0", "{} must not be 0"),
    "sample": ("not 0 <= {0} <= len({1})", "{} is out of range"),
    "character": ("not 0 <= {0} < 0x110000", "{} is out of range"),
    "sqlite": ("not -(2**63) <= {0} < 2**63", "{} is out of range"),
    "large": ("", "{} is out of range"),
}
"""For each bound: the condition that a number breaks it, if it can be said, and what the client is told."""
