"""Regular expressions of rules: the worst case is bounded before anything is matched."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from homeostasis.rules.regex import MAX_TEXT, checked_regex, required_text

DANGEROUS = [
    (r"(a+)+$", "repeats something that holds a repeat"),
    (r"^(\w+\s?)*$", "repeats something that holds a repeat"),
    (r"(a|aa)*b", "repeats something that holds a repeat or a choice"),
    (r"(?:a?)*b", "repeats something that holds a repeat"),
    (r"^(?:a{2}){1,}(?:a{3}){1,}(?:a{5}){1,}$", "could take"),
    (r"^(a{1,2})+$", "repeats something that holds a repeat"),
    (r"(a)\1", "groupref"),
    (r"\d+\d+$", "could take"),
    (r".*foo.*bar", "could take"),
    (r"^.*a.*b.*c", "could take"),
    ("(" * 300, "is not a regular expression"),
]
FINE = [
    (r"^KeyError: 'x'$", "KeyError: 'x'"),
    (r"'(\w+)' object has no attribute '(\w+)'", "' object has no attribute '"),
    (r"^.*foo.*bar", "foo"),
    (r"^(?:[\w.<>]{1,200}\.)?(\w{1,200})\(\) takes", "() takes"),
    (r"x{0,80}y.{0,80}z", "y"),
    (r"^'[+-]?\d{1,3}(,\d{3})+'$", "'"),
    (r"^(?:(?:\d{2}){3})+x$", "x"),
    (r"(?i)abc", ""),
    (r"a|b", ""),
    (r"(?:could not|cannot) connect to (\S+)", " connect to "),
]


@pytest.mark.parametrize(("pattern", "reason"), DANGEROUS)
def test_what_could_run_away_is_refused(pattern: str, reason: str) -> None:
    """Nested repeats, back-references and products of repeats are refused with a reason."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        checked_regex(pattern)


@pytest.mark.parametrize(("pattern", "required"), FINE)
def test_ordinary_expressions_are_kept(pattern: str, required: str) -> None:
    """What rules really need is accepted, and the text that every match holds is known."""
    assert checked_regex(pattern) == pattern
    assert required_text(pattern) == required


SEARCH = """
import re, sys
for pattern in sys.argv[2:]:
    for unit in ("'", "a", "foo", "x", "'a", "could not "):
        re.search(pattern, (unit * int(sys.argv[1]))[: int(sys.argv[1])])
"""


def test_accepted_expressions_end_on_hostile_text() -> None:
    """On the longest text that is tried they come to an end; one that runs away would run for years."""
    words = [str(MAX_TEXT), *(checked_regex(pattern) for pattern, _required in FINE)]
    subprocess.run([sys.executable, "-c", SEARCH, *words], check=True, timeout=300)
