"""Settings of `collect-logs`."""

from __future__ import annotations

import os
from typing import Literal, Optional

from pydantic import Field, field_validator, model_validator

from homeostasis.collecting.settings import CollectorTable
from homeostasis.errors import ConfigError
from homeostasis_collect_logs.listening.addresses import parse_address


class CollectLogsSettings(CollectorTable):
    """`[tool.homeostasis.collect-logs]`."""

    files: tuple[str, ...] = Field(
        default=(), description="Globs of the log files to follow, absolute or relative to the project; `**` is known."
    )
    format: Literal["auto", "text"] = Field(
        default="auto",
        description="`auto` tells each record's format by itself; `text` takes every line for plain text.",
    )
    interval: float = Field(default=0.5, gt=0, description="Seconds between two looks at the files.")
    settle: float = Field(
        default=1.0, ge=0, description="Seconds without a further line after which a traceback counts as complete."
    )
    max_line_bytes: int = Field(
        default=1048576,
        ge=1024,
        description="Longest line or message that is read, in bytes; longer ones are counted as lost.",
    )
    max_event_lines: int = Field(default=2000, ge=10, description="Longest traceback that is read, in lines.")
    max_unpacked_bytes: int = Field(
        default=1073741824, ge=1048576, description="How much of one compressed rotated file is unpacked, in bytes."
    )
    listen: tuple[str, ...] = Field(
        default=(),
        description="Addresses to listen on, such as `syslog+udp://127.0.0.1:5514`, `gelf+tcp://127.0.0.1:12201`, "
        "`json+tcp://127.0.0.1:5170`, `fluent+tcp://127.0.0.1:24224` and `syslog+unix:///run/shop/log`.",
    )
    allow_unauthenticated: bool = Field(
        default=False,
        description="Also listen beyond loopback where nobody has to prove who they are: whoever reaches the port can "
        "then report crashes.",
    )
    tls_certificate: Optional[str] = Field(
        default=None, description="PEM file with the certificate of the `+tls` addresses, relative to the project."
    )
    tls_key: Optional[str] = Field(default=None, description="PEM file with the key of `tls_certificate`.")
    tls_client_ca: Optional[str] = Field(
        default=None,
        description="PEM file with the authorities whose certificates clients of `+tls` addresses must have.",
    )
    forward_key_env: Optional[str] = Field(
        default=None,
        description="Name of the environment variable with the shared key of Fluentd's forward protocol.",
    )
    max_connections: int = Field(default=100, ge=1, description="Connections that are open at the same time.")
    max_chunk_bytes: int = Field(
        default=8388608,
        ge=1024,
        description="Largest message of Fluentd's forward protocol, as it comes and again unpacked, in bytes.",
    )
    read_seconds: float = Field(
        default=30.0, gt=0, description="Seconds within which a message that has begun must have come whole."
    )

    @field_validator("listen")
    @classmethod
    def _known(cls, listen: tuple[str, ...]) -> tuple[str, ...]:
        for text in listen:
            parse_address(text)
        return listen

    @model_validator(mode="after")
    def _guarded(self) -> CollectLogsSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both or neither")
        for address in map(parse_address, self.listen):
            if address.transport == "tls" and self.tls_certificate is None:
                raise ValueError(f"{address.text} needs tls_certificate and tls_key")
            proven = (address.transport == "tls" and self.tls_client_ca is not None) or (
                address.protocol == "fluent" and self.forward_key_env is not None
            )
            if not (address.is_local or proven or self.allow_unauthenticated):
                raise ValueError(
                    f"{address.text} can be reached from other machines, and its protocol has no token: use +tls with "
                    "tls_client_ca, for fluent forward_key_env, or set allow_unauthenticated = true"
                )
        return self

    def forward_key(self) -> Optional[str]:
        """The shared key of Fluentd's forward protocol; None if there is none.

        Raises:
            ConfigError: the variable that `forward_key_env` names is not set, or empty.
        """
        if self.forward_key_env is None:
            return None
        key = os.environ.get(self.forward_key_env, "")
        if not key:
            raise ConfigError(
                f"the environment variable {self.forward_key_env}, which forward_key_env names, is not set"
            )
        return key
