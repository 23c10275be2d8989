"""Slips of the pen: one letter too many, one too few, or two in the wrong order."""

from __future__ import annotations

from typing import Iterable


def one_slip(name: str, known: Iterable[str]) -> str | None:
    """The one known name that another is a slip for; None if there is none or several.

    Another letter in the place of one is not taken for a slip: `encode` is none for `decode`.
    """
    found = [each for each in dict.fromkeys(known) if len(name) > 2 and _is_slip(name, each)]
    return found[0] if len(found) == 1 else None


def _is_slip(name: str, meant: str) -> bool:
    if abs(len(name) - len(meant)) == 1:
        longer, shorter = (name, meant) if len(name) > len(meant) else (meant, name)
        return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))
    if len(name) != len(meant):
        return False
    unlike = [at for at in range(len(name)) if name[at] != meant[at]]
    swapped = len(unlike) == 2 and unlike[1] == unlike[0] + 1
    return swapped and name[unlike[0]] == meant[unlike[1]] and name[unlike[1]] == meant[unlike[0]]
