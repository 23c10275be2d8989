"""Settings of `collect-elastic`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from homeostasis_collect_logs.pulling.settings import PullTable


class CollectElasticSettings(PullTable):
    """`[tool.homeostasis.collect-elastic]`."""

    url: str = Field(
        default="http://127.0.0.1:9200", description="Where Elasticsearch or OpenSearch is, with a path if it has one."
    )
    index: str = Field(
        default="logs-*",
        pattern=r"^[^\s/?#\\\"<>|]{1,1000}$",
        description="Indexes, data streams or patterns of them, separated by commas.",
    )
    query: str = Field(
        default="*",
        min_length=1,
        description="Which documents, in Lucene's query syntax, such as `service.name:shop`. If lines of a traceback "
        "are documents of their own, it must leave none of them out.",
    )
    time_field: str = Field(default="@timestamp", description="Field of type `date` or `date_nanos` that is read by.")
    token_type: Literal["ApiKey", "Bearer"] = Field(
        default="ApiKey", description="What `token_env` holds: an API key in its encoded form, or another token."
    )
