"""`homeostasis retry`: work on an incident again that ended without being healed."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from homeostasis.cli.decision import REASON, decide
from homeostasis.cli.terminal import INCIDENT, JSON, NO_COLOR, PROJECT


def retry(
    incident: str = INCIDENT,
    reason: str = REASON,
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Work on an ended incident again.

    Also lifts the latch of a patch that was rolled back. The orchestrator does the work: now, or when it starts.

    Example: homeostasis retry 3f2a --reason "the upstream service was down"
    """
    decide("retry", incident, project, reason, as_json, no_color)
