"""Settings of `collect-sentry`."""

from __future__ import annotations

from typing import Optional

from pydantic import Field

from homeostasis_collect_http.settings import EndpointTable


class CollectSentrySettings(EndpointTable):
    """`[tool.homeostasis.collect-sentry]`."""

    port: int = Field(default=4781, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    forward_env: Optional[str] = Field(
        default=None,
        description="Name of the environment variable that holds the DSN to which all that is accepted is sent on.",
    )
    max_forwarding: int = Field(
        default=1000, ge=1, description="Envelopes that wait to be sent on; those beyond are dropped, and counted."
    )
