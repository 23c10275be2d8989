"""Small pieces of Markdown."""

from __future__ import annotations

import json
import re
from typing import Any, Iterable


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; bars and line breaks in cells are taken care of."""
    lines = [_row(head), _row("---" for _ in head)]
    return "\n".join([*lines, *(_row(row) for row in rows)]) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in cells) + " |"


def code(text: str, language: str) -> str:
    """A fenced block; the fence is longer than any that the text holds."""
    fence = "`" * max(3, *(len(found) + 1 for found in re.findall(r"`{3,}", text)), 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def json_block(value: Any) -> str:
    """A value as indented JSON."""
    return code(json.dumps(value, indent=2, ensure_ascii=False), "json")


def label(*parts: str) -> str:
    """A label in front of a heading, to link to."""
    slug = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return f"({slug})=\n"
