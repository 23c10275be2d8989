"""The text of a pull request: what happened, why the fix is right, how it was proven, how to undo it.

Messages of exceptions and everything else that comes from outside stand in code spans and blocks, where no mention,
link or HTML works, and none can end the block.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from homeostasis_deploy_git.message import one_line

if TYPE_CHECKING:
    from homeostasis.models import Incident, Patch, Verdict

_LONGEST_DIFF = 8000
_MOST_EVIDENCE = 12


def pull_request_text(patch: Patch, verdict: Verdict, incident: Incident) -> str:
    """Markdown that GitHub and GitLab show alike."""
    frame, raised = incident.event.crash_frame, incident.event.raised
    where = f" in {_code(frame.qualname or frame.function)} (line {frame.span.line})" if frame else ""
    request = incident.event.request
    met = f" while {_code(f'{request.method} {request.route or request.path}')} was served" if request else ""
    parts = [
        "### What happened",
        f"{_code(raised.dotted)}{where}{met}, {incident.count} times in {_code(incident.service)}:",
        _block(one_line(raised.message, 500) or raised.dotted),
        "### The fix",
        f"{_text(patch.summary)} Its effect is {_code(patch.effect.value)}, its risk {_code(patch.risk.value)}, and "
        f"the rule behind it {_code(patch.rule_id)}.",
    ]
    if patch.rationale:
        parts.append(_text(patch.rationale))
    if patch.evidence:
        parts.append("\n".join(f"- {_text(text)}" for text in patch.evidence[:_MOST_EVIDENCE]))
    rows = [f"| {_code(check.name)} | {check.outcome.value} | {_cell(check.detail)} |" for check in verdict.checks]
    parts += [
        "### How it was proven",
        "\n".join(["| check | outcome | what was seen |", "| --- | --- | --- |", *rows]),
        "<details><summary>Diff</summary>\n\n" + _block(patch.diff[:_LONGEST_DIFF], "diff") + "\n\n</details>",
        "### How to undo it",
        f"`homeostasis rollback {one_line(incident.id, 40)}` takes back what is live and closes this pull request. "
        "Once it is merged, revert the merge.",
    ]
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    return f"`{one_line(text, 200).replace('`', chr(0x2019))}`"


def _text(text: str) -> str:
    """Prose of ours that quotes names: whatever Markdown, HTML or a forge gives a meaning to is taken literally."""
    plain = one_line(text, 1000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]#@!~|$])", lambda found: f"&#{ord(found[1])};", plain)


def _cell(text: str) -> str:
    return _text(one_line(text, 300))


def _block(text: str, language: str = "text") -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
