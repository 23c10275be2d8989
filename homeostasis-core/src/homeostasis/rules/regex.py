"""Regular expressions of rules: what they cost in the worst case, and the text that every match holds.

Messages are an attacker's to write, and `re` backtracks. So the parsed expression is judged before it is used:
repeats inside of repeats and back-references are refused, and the number of ways in which the others can share out a
text of `MAX_TEXT` characters must stay below `MAX_STEPS`. The estimate is an upper bound: the places at which a match
may start, times the lengths of those repeats that the text after them could continue, times the longest of the other
repeats.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any, FrozenSet, List, Sequence, Tuple

if sys.version_info >= (3, 11):
    from re import _compiler as sre_compile  # type: ignore[attr-defined]
    from re import _parser as sre_parse  # type: ignore[attr-defined]
else:
    import sre_compile
    import sre_parse

MAX_REGEX = 500
"""Longest regular expression of a rule, in characters."""
MAX_TEXT = 4000
"""Longest text that a regular expression is tried on, in characters; a longer one does not match."""
MAX_STEPS = 50_000_000
"""Steps of `re` on such a text in the worst case: below a second."""

_PROBES = (*map(chr, range(128)), "\x85", "\xa0", "\xe9", "\u0660", "\u2028", "\u4e2d", "\U0001f600")
_SINGLE = ("LITERAL", "NOT_LITERAL", "ANY", "IN", "RANGE", "CATEGORY")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
Item = Tuple[Any, Any]


def checked_regex(pattern: str) -> str:
    """The pattern itself, if it compiles and its worst case is bounded.

    Raises:
        ValueError: it does not; says why and what to write instead.
    """
    if len(pattern) > MAX_REGEX:
        raise ValueError(f"is longer than {MAX_REGEX} characters")
    try:
        re.compile(pattern)
        parsed = sre_parse.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    steps = _Cost(parsed).steps()
    if steps > MAX_STEPS:
        raise ValueError(
            f"could take {steps:.0e} steps on a hostile text: begin it with ^, or bound its repeats, as in .{{0,80}}"
        )
    return pattern


@lru_cache(maxsize=4096)
def required_text(pattern: str) -> str:
    """The longest text that everything the pattern matches must hold; empty if there is none."""
    parsed = sre_parse.parse(pattern)
    if parsed.state.flags & re.IGNORECASE:
        return ""
    runs, current = [""], ""
    for op, argument in _flat(parsed):
        if str(op) == "LITERAL":
            current += chr(argument)
            continue
        runs.append(current)
        current = ""
    return max([*runs, current], key=len)


def _flat(parsed: Sequence[Item]) -> List[Item]:
    """The items of a sequence, with groups that change no flags opened."""
    items: List[Item] = []
    for op, argument in parsed:
        if str(op) == "SUBPATTERN" and not argument[1] and not argument[2]:
            items.extend(_flat(argument[3]))
        else:
            items.append((op, argument))
    return items


def _has_one_length(item: Item) -> bool:
    """Whether there is only one way to match it from a given place: a character, or a certain number of them."""
    op, argument = item
    if str(op) in _REPEATS and argument[0] == argument[1]:
        return all(_has_one_length(inner) for inner in _flat(argument[2]))
    return str(op) in _SINGLE


class _Cost:
    def __init__(self, parsed: Any) -> None:
        self.parsed = parsed

    def steps(self) -> float:
        """Upper bound of the steps on a text of `MAX_TEXT` characters."""
        items = _flat(self.parsed)
        anchored = (
            bool(items) and str(items[0][0]) == "AT" and str(items[0][1]) in ("AT_BEGINNING", "AT_BEGINNING_STRING")
        )
        multiline = self.parsed.state.flags & re.MULTILINE
        starts = 1 if anchored and not multiline else MAX_TEXT
        ways, scan = self._sequence(items, [])
        return float(starts) * ways * scan

    def _sequence(self, items: Sequence[Item], after: Sequence[Item]) -> Tuple[float, int]:
        """In how many ways the items can share out a text, and the longest repeat that has no choice."""
        ways, scan = 1.0, 1
        for index, (op, argument) in enumerate(items):
            rest = [*items[index + 1 :], *after]
            name = str(op)
            if name in _SINGLE or name == "AT":
                continue
            if name in _REPEATS:
                own_ways, own_scan = self._repeat(argument, rest)
            elif name == "BRANCH":
                parts = [self._sequence(_flat(part), rest) for part in argument[1]]
                own_ways, own_scan = sum(part[0] for part in parts), max(part[1] for part in parts)
            elif name in ("ASSERT", "ASSERT_NOT"):
                own_ways, own_scan = self._sequence(_flat(argument[1]), [])
            elif name == "SUBPATTERN":
                own_ways, own_scan = self._sequence(_flat(argument[3]), rest)
            else:
                raise ValueError(f"uses {name.lower().replace('_', ' ')}, which rules may not")
            ways, scan = ways * own_ways, max(scan, own_scan)
        return ways, scan

    def _repeat(self, argument: Any, rest: Sequence[Item]) -> Tuple[float, int]:
        least, most, body = argument[0], min(int(argument[1]), MAX_TEXT), _flat(argument[2])
        if most <= 1:
            ways, scan = self._sequence(body, rest)
            return ways + 1, scan
        if not all(_has_one_length(item) for item in body):
            raise ValueError("repeats something that holds a repeat or a choice: write a class such as [\\w.]* instead")
        if least == most:
            return 1.0, most
        single = len(body) == 1 and str(body[0][0]) in _SINGLE
        if single and not self._may_continue(self._members(body[0]), rest):
            return 1.0, most
        return float(most - least + 1), 1

    def _may_continue(self, members: FrozenSet[str], rest: Sequence[Item]) -> bool:
        """Whether what follows a repeat could match a character that the repeat matches as well."""
        for op, argument in rest:
            name = str(op)
            if name in _SINGLE:
                return bool(members & self._members((op, argument)))
            if name == "AT":
                if str(argument) in ("AT_END", "AT_END_STRING"):
                    return False
                continue
            if name not in _REPEATS:
                return True
            body = _flat(argument[2])
            if len(body) != 1 or str(body[0][0]) not in _SINGLE or members & self._members(body[0]):
                return True
            if argument[0]:
                return False
        return False

    def _members(self, item: Item) -> FrozenSet[str]:
        """Those of the probes that an item for a single character matches."""
        alone = sre_parse.SubPattern(self.parsed.state, [item])
        found = sre_compile.compile(alone, self.parsed.state.flags)
        return frozenset(probe for probe in _PROBES if found.match(probe))
