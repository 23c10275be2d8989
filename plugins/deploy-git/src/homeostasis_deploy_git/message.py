"""The commit message: what happened, what was done about it and how that was proven, and the trailers that tools read.

Exception messages are written by whoever sent the request. Every text is therefore made one line without control or
formatting characters and stands behind a label, so that it can neither forge a trailer nor hide anything in a terminal.
"""

from __future__ import annotations

import textwrap
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homeostasis.models import Incident, Patch, Verdict

_WIDTH = 78
_SUBJECT = 100


def commit_message(patch: Patch, verdict: Verdict, incident: Incident) -> str:
    """The whole message, ending in the trailers."""
    frame = incident.event.crash_frame
    where = f" in {frame.qualname or frame.function} ({frame.path}, line {frame.span.line})" if frame else ""
    body = [
        _item("Exception", f"{incident.event.raised.dotted}{where}"),
        _item("Message", incident.event.raised.message, 300),
        _item("Seen", f"{incident.count} times in {incident.service}"),
        _item("Effect", f"{patch.effect.value}, risk {patch.risk.value}"),
    ]
    if patch.rationale:
        body.append(_item("Why", patch.rationale, 1000))
    body += [_item("- Evidence", text, 300) for text in patch.evidence]
    body += [
        _item(f"- Check {one_line(check.name, 60)}", f"{check.outcome.value}. {check.detail}", 300)
        for check in verdict.checks
    ]
    trailers = [
        f"Homeostasis-Incident: {one_line(incident.id, 100)}",
        f"Homeostasis-Rule: {one_line(patch.rule_id, 100)}",
        f"Homeostasis-Verdict: {verdict.outcome.value}",
    ]
    # Tools that read patches from mail take a leading --- for the end of the message, and some take # for a comment.
    subject = one_line(patch.summary, _SUBJECT).lstrip("-# ") or f"Fix {one_line(incident.event.raised.type, 60)}"
    return "\n\n".join([subject, "\n".join(body), "\n".join(trailers)]) + "\n"


def _item(label: str, text: str, limit: int = 500) -> str:
    wrapped = textwrap.wrap(
        f"{label}: {one_line(text, limit)}",
        _WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(wrapped)


def one_line(text: str, limit: int) -> str:
    """The text without control, formatting and line-breaking characters, at most `limit` characters long."""
    plain = "".join(
        " " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text[: limit * 4]
    )
    plain = " ".join(plain.split())
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."
