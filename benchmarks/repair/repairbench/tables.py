"""Tables of results, for the terminal and for the documentation."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Iterable, Sequence

from repairbench.cases import CLASSES, DEV, KINDS, SEALED
from repairbench.running import Result

EFFECTS = ("effect", "patches", "plausible", "correct", "not asked about", "of these correct")
HEADINGS = ("", "cases", "diagnosed", "patched", "plausible", "correct", "tried", "seconds")


def table(groups: Sequence[tuple[str, Sequence[Result]]]) -> list[tuple[str, ...]]:
    """A row for each group of results that were run; `tried` and `seconds` are medians."""
    return [_row(name, [one for one in results if one.not_run is None]) for name, results in groups if results]


def by_class(results: Sequence[Result]) -> list[tuple[str, Sequence[Result]]]:
    """Groups by class, then by kind, then all."""
    groups: list[tuple[str, Sequence[Result]]] = [
        (name, [one for one in results if one.crash_class == name]) for name in CLASSES
    ]
    groups += [(f"kind: {kind}", [one for one in results if one.kind == kind]) for kind in KINDS]
    return [*groups, ("all", results)]


def _row(name: str, results: Sequence[Result]) -> tuple[str, ...]:
    count = len(results)
    shares = [
        _share(sum(1 for one in results if getattr(one, field)), count)
        for field in ("diagnosed", "patched", "plausible", "correct")
    ]
    tried = [one.tried for one in results if one.tried]
    seconds = [one.seconds for one in results if one.seconds is not None]
    return (
        name,
        str(count),
        *shares,
        f"{statistics.median(tried):g}" if tried else "-",
        f"{statistics.median(seconds):.2f}" if seconds else "-",
    )


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.0f}%)" if whole else "-"


def precision(results: Iterable[Result]) -> str:
    """How many of the patches that the policy lets go live without asking are correct."""
    deployed = [one for one in results if one.deployed]
    return f"{_share(sum(one.correct for one in deployed), len(deployed))} of {len(deployed)}"


def effects(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """For each effect: patches, plausible, correct, deployed without asking, and correct ones among these."""
    patched = [one for one in results if one.patched]
    rows = []
    for effect, count in sorted(Counter(one.effect for one in patched).items(), key=lambda pair: str(pair[0])):
        mine = [one for one in patched if one.effect == effect]
        live = [one for one in mine if one.deployed]
        rows.append(
            (
                str(effect),
                str(count),
                _share(sum(one.plausible for one in mine), count),
                _share(sum(one.correct for one in mine), count),
                str(len(live)),
                _share(sum(one.correct for one in live), len(live)),
            )
        )
    return rows


def not_run(results: Iterable[Result]) -> list[tuple[int, str]]:
    """How many cases were not run for which reason."""
    reasons = Counter((one.not_run or "").split(":")[0][:100] for one in results if one.not_run is not None)
    return [(count, reason) for reason, count in reasons.most_common()]


def as_text(rows: Sequence[Sequence[str]], headings: Sequence[str] = HEADINGS) -> str:
    """Aligned columns."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def as_markdown(rows: Sequence[Sequence[str]], headings: Sequence[str] = HEADINGS) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def summary(results: Sequence[Result]) -> str:
    """What is printed at the end of a run."""
    parts = [as_text(table(by_class(results)))]
    for half in (DEV, SEALED):
        mine = [one for one in results if one.half == half]
        if mine:
            parts.append(f"{half} half\n" + as_text(table([("all", mine)])))
            parts.append(f"correct of what the default policy deploys without asking, {half}: {precision(mine)}")
    parts.append(as_text(effects(results), EFFECTS))
    skipped = not_run(results)
    lines = [f"not run: {sum(count for count, _ in skipped)}", *(f"  {count}: {reason}" for count, reason in skipped)]
    return "\n\n".join([*parts, "\n".join(lines)])
