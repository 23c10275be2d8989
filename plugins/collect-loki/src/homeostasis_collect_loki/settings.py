"""Settings of `collect-loki`."""

from __future__ import annotations

from typing import Optional

from pydantic import Field

from homeostasis_collect_logs.pulling.settings import PullTable


class CollectLokiSettings(PullTable):
    """`[tool.homeostasis.collect-loki]`."""

    url: str = Field(default="http://127.0.0.1:3100", description="Where Loki is, with a path if it has one.")
    query: str = Field(
        default='{job=~".+"}',
        min_length=2,
        description="LogQL query for log lines: a stream selector, with line filters only if no line of a traceback is "
        'left out, such as `{app="shop"}`.',
    )
    tenant: Optional[str] = Field(default=None, description="Sent as `X-Scope-OrgID`, where Loki has several tenants.")
