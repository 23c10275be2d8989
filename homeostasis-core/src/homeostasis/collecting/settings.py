"""Settings that every collector of foreign events has."""

from __future__ import annotations

from typing import Optional

from pydantic import Field

from homeostasis.config import Table


class CollectorTable(Table):
    """Base of a collector's table."""

    path_map: dict[str, str] = Field(
        default_factory=dict,
        description="Where the app's paths are in the project: `{'/app' = '.'}` for a container that has it in /app.",
    )
    service: Optional[str] = Field(
        default=None,
        description="Name of the service that the events are of; by default what they say, or that of the project.",
    )
    recapture: float = Field(
        default=60.0,
        ge=0,
        description="Seconds in which the same crash is only counted after it was read whole once.",
    )
