"""Settings of `collect-otlp`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from homeostasis_collect_http.settings import EndpointTable

Protocol = Literal["http", "grpc"]


class CollectOtlpSettings(EndpointTable):
    """`[tool.homeostasis.collect-otlp]`."""

    protocols: tuple[Protocol, ...] = Field(
        default=("http", "grpc"), min_length=1, description="What is listened for: `http`, `grpc`, or both."
    )
    port: int = Field(default=4318, ge=0, le=65535, description="Port of OTLP over HTTP; 0 for any free one.")
    grpc_port: int = Field(default=4317, ge=0, le=65535, description="Port of OTLP over gRPC; 0 for any free one.")
    max_body_bytes: int = Field(
        default=4_194_304,
        ge=1024,
        description="Largest message, as it comes and again when it is decompressed, in bytes.",
    )
    settle: float = Field(
        default=6.0,
        ge=0,
        le=60,
        description="Seconds that a crash in a trace waits for the span that has its request; SDKs send every 5 s.",
    )
    traffic: Literal["auto", "metrics", "spans", "none"] = Field(
        default="auto",
        description="What requests are counted from; `auto` takes the metrics of a service, else its spans.",
    )
