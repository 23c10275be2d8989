"""`homeostasis reject`: refuse the patch of an incident that awaits approval."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from homeostasis.cli.decision import REASON, decide
from homeostasis.cli.terminal import INCIDENT, JSON, NO_COLOR, PROJECT


def reject(
    incident: str = INCIDENT,
    reason: str = REASON,
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Refuse a patch that awaits approval.

    Example: homeostasis reject 3f2a --reason "the client must be changed"
    """
    decide("reject", incident, project, reason, as_json, no_color)
