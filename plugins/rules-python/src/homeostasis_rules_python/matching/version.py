"""Version ranges such as `>=2,<4`: comparison of release numbers."""

from __future__ import annotations

import re
from typing import Tuple

_PART = re.compile(r"(==|!=|<=|>=|<|>|~=)\s*(\d+(?:\.\d+)*)(\.\*)?")


def covers(version_range: str, version: str) -> bool:
    """Whether a version lies in a range. Only the release numbers are compared; suffixes such as `rc1` are cut off."""
    have = _numbers(version)
    return all(_holds(have, *match.groups()) for match in _PART.finditer(version_range))


def _numbers(version: str) -> Tuple[int, ...]:
    match = re.match(r"\d{1,9}(?:\.\d{1,9}){0,5}", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _holds(have: Tuple[int, ...], operator: str, bound_text: str, wildcard: str | None) -> bool:
    bound = _numbers(bound_text)
    if wildcard:
        same = have[: len(bound)] == bound
        return same if operator == "==" else not same
    if operator == "~=":
        return have >= bound and have[: len(bound) - 1] == bound[:-1]
    size = max(len(have), len(bound))
    left, right = (have + (0,) * size)[:size], (bound + (0,) * size)[:size]
    return {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]
