"""Settings of `collect-trackers`."""

from __future__ import annotations

from pydantic import Field

from homeostasis_collect_http.settings import EndpointTable


class CollectTrackersSettings(EndpointTable):
    """`[tool.homeostasis.collect-trackers]`."""

    port: int = Field(default=4782, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
