"""The generated parts of `docs/explanation/repair-rate.md`: everything between two markers is replaced."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Mapping, Sequence

from repairbench import tables
from repairbench.cases import DEV, SEALED
from repairbench.running import Result

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "repair-rate.md"


def write(results: Sequence[Result], baselines: Mapping[str, Any] | None) -> None:
    """Bring the page up to date.

    Args:
        results: of all cases.
        baselines: what `baselines.py` measured, as it wrote it; None keeps what the page says.
    """
    text = PAGE.read_text("utf-8")
    text = _replaced(text, "results", _results(results))
    text = _replaced(text, "failures", _failures([one for one in results if one.half == DEV]))
    if baselines is not None:
        text = _replaced(text, "baselines", _baselines(baselines))
    PAGE.write_text(text, "utf-8")


def _replaced(text: str, name: str, content: str) -> str:
    pattern = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise LookupError(f"{PAGE.name} has no markers for {name}")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text)


def _results(results: Sequence[Result]) -> str:
    run = [one for one in results if one.not_run is None]
    skipped = sum(count for count, _ in tables.not_run(results))
    load = os.getloadavg()[1]
    where = (
        f"Measured on {datetime.now(timezone.utc):%Y-%m-%d} with {os.cpu_count()} cores, Python "
        f"{platform.python_version()} and a load average of {load:.1f}; {len(run)} cases run, {skipped} not run here."
    )
    parts = [where]
    for half, title in ((SEALED, "Sealed half"), (DEV, "Development half")):
        mine = [one for one in results if one.half == half]
        parts += [
            f"### {title}",
            tables.as_markdown(tables.table(tables.by_class(mine))),
            f"Correct of what the default policy deploys without asking: {tables.precision(mine)}.",
        ]
    parts += ["### By effect, both halves", tables.as_markdown(tables.effects(results), tables.EFFECTS)]
    return "\n\n".join(parts)


def _failures(results: Sequence[Result]) -> str:
    rows = [
        (f"`{one.id}`", one.crash_class, (one.exception or "").rpartition(".")[2], stage(one), why(one))
        for one in results
        if one.not_run is None and not one.correct
    ]
    return tables.as_markdown(rows, ("case", "class", "exception", "how far", "why"))


def stage(result: Result) -> str:
    """The last thing that went right."""
    if result.plausible:
        return "plausible"
    if result.patched:
        return f"patched ({result.effect})"
    return "diagnosed" if result.diagnosed else "captured"


def why(result: Result) -> str:
    """What stands between this result and a correct one, in a phrase."""
    if result.patched:
        return f"wrong: `{(result.spoilt or '').splitlines()[-1][:90]}`" if result.spoilt else "wrong"
    said = (result.reason or "").partition(": see `homeostasis")[0]
    return " ".join(said.replace("`", "'").split())[:140]


def _baselines(found: Mapping[str, Any]) -> str:
    if found.get("unavailable"):
        said = [f"{name} could not be installed:\n\n```text\n{why}\n```" for name, why in found["unavailable"].items()]
        return "\n\n".join(said)
    headings = ("tool", "cases", "changes something", "plausible", "correct", "seconds (median)")
    rows = [tuple(str(cell) for cell in row) for row in found["rows"]]
    return found["text"] + "\n\n" + tables.as_markdown(rows, headings)
