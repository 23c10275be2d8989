"""`homeostasis approve`: deploy the patch of an incident that awaits approval."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from homeostasis.cli.decision import REASON, decide
from homeostasis.cli.terminal import INCIDENT, JSON, NO_COLOR, PROJECT


def approve(
    incident: str = INCIDENT,
    reason: str = REASON,
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Deploy a patch that awaits approval.

    Example: homeostasis approve 3f2a --reason "reviewed"
    """
    decide("approve", incident, project, reason, as_json, no_color)
