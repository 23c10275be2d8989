"""Crashes in ten places, and what the spool says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

PLACES = 10
_SOURCE = """
def place_{0}(number):
    cart = {{"order": number, "items": ["pear"] * 3}}
    return cart["price {0} of %d" % number]
"""


def _make(place: int) -> Callable[[int], object]:
    names: Dict[str, Any] = {"__name__": "shop"}
    exec(compile(_SOURCE.format(place), str(Path(__file__).with_name(f"place_{place}.py")), "exec"), names)
    made: Callable[[int], object] = names[f"place_{place}"]
    return made


_places = [_make(place) for place in range(PLACES)]


def crash(number: int) -> None:
    """Raise KeyError in one of the places."""
    _places[number % PLACES](number)


def records_in(project: Path) -> List[Dict[str, Any]]:
    """All records of the project's spool."""
    files = sorted(project.glob(".homeostasis/spool/*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
