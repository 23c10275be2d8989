"""Keywords that functions and methods of Python itself do not take, and that are spelt nearly like one that they do."""

from __future__ import annotations

import re
from typing import Dict

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.slips import one_slip
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.facts.base import Facts, extracts

_INVALID = re.compile(
    r"^(?:'(?P<keyword>\w{1,100})' is an invalid keyword argument for (?P<name>\w{1,100})\(\)"
    r"|(?P<called>\w{1,100})\(\) got an unexpected keyword argument '(?P<given>\w{1,100})')"
)
_DATE = "year month day"
_TIME = "hour minute second microsecond tzinfo fold"
KEYWORDS: Dict[str, str] = {
    "accumulate": "iterable func initial",
    "bytes": "source encoding errors",
    "compile": "source filename mode flags dont_inherit optimize pattern",
    "date": _DATE,
    "datetime": f"{_DATE} {_TIME}",
    "decode": "encoding errors",
    "deque": "iterable maxlen",
    "encode": "encoding errors",
    "enumerate": "iterable start",
    "expandtabs": "tabsize",
    "findall": "pattern string flags pos endpos",
    "fromtimestamp": "timestamp tz",
    "int": "base",
    "isoformat": "sep timespec",
    "max": "key default",
    "min": "key default",
    "now": "tz",
    "open": "file mode buffering encoding errors newline closefd opener",
    "pow": "base exp mod",
    "print": "sep end file flush",
    "product": "repeat",
    "replace": f"{_DATE} {_TIME}",
    "round": "number ndigits",
    "rsplit": "sep maxsplit",
    "sort": "key reverse",
    "sorted": "key reverse",
    "split": "sep maxsplit string flags",
    "splitlines": "keepends",
    "str": "object encoding errors",
    "sub": "pattern repl string count flags",
    "subn": "pattern repl string count flags",
    "sum": "start",
    "time": _TIME,
    "timedelta": "days seconds microseconds milliseconds minutes hours weeks",
    "warn": "message category stacklevel source",
    "zip": "strict",
}
"""Names of functions, methods and types that are written in C or so common that no source need be read, and what they
take by name: https://docs.python.org/3/library/."""


def _is_other(case: Case, said: str | None, called: str) -> bool:
    """Whether the message speaks of another function than the call, or of one of the app."""
    if said is None:
        return False
    return said not in (called, "__new__", "__init__", "sort") or any(True for _ in functions_named(case, called))


@extracts("TypeError", rank=43)
def builtin_keyword(case: Case, site: Site) -> Facts | None:
    """Facts about a keyword that a function of Python does not take: `keyword`, and `meant` for the one it takes."""
    found = _INVALID.match(case.raised.message)
    if found is None:
        return None
    keyword = found["keyword"] or found["given"]
    for node in site.nodes(cst.Call):
        given = (
            [arg.keyword.value for arg in node.args if arg.keyword is not None] if isinstance(node, cst.Call) else []
        )
        called = called_name(node) if isinstance(node, cst.Call) else None
        if called is None or keyword not in given or _is_other(case, found["called"], called):
            continue
        meant = one_slip(keyword, sorted(set(KEYWORDS.get(called, "").split()) - set(given)))
        if meant is None:
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(called=called, keyword=keyword, meant=meant, library=True)
        facts.evidence.append(f"`{called}` of Python takes `{meant}`")
        facts.sentence = f"{facts.where} passes `{keyword}` to `{called}`, which takes `{meant}`"
        return facts
    return None
