"""`homeostasis rollback`: undo the release of an incident and restore the exact bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from homeostasis.cli.decision import REASON, decide
from homeostasis.cli.terminal import INCIDENT, JSON, NO_COLOR, PROJECT


def rollback(
    incident: str = INCIDENT,
    reason: str = REASON,
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Undo the release of an incident.

    Restores the exact bytes; the patch is not deployed again by itself.

    Example: homeostasis rollback 3f2a --project ~/shop
    """
    decide("rollback", incident, project, reason, as_json, no_color)
