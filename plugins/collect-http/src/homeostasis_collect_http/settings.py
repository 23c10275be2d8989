"""Settings of an HTTP endpoint, and those of `collect-http`."""

from __future__ import annotations

import hmac
import ipaddress
import os
from typing import Optional, Sequence

from pydantic import Field, field_validator, model_validator

from homeostasis.collecting.settings import CollectorTable
from homeostasis.errors import ConfigError


class EndpointTable(CollectorTable):
    """Base of the table of a plugin that listens. A plugin gives `port` its own default."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on, or `localhost`. Beyond loopback `token_env` is needed.",
    )
    port: int = Field(default=4780, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    token_env: Optional[str] = Field(
        default=None,
        description="Name of the environment variable that holds the tokens which are accepted, separated by commas.",
    )
    tls_certificate: Optional[str] = Field(
        default=None,
        description="PEM file with the certificate and its chain, relative to the project.",
    )
    tls_key: Optional[str] = Field(
        default=None, description="PEM file with the key of `tls_certificate`, relative to the project."
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1024, description="Largest body, as it comes and again when it is decompressed, in bytes."
    )
    max_pending: int = Field(
        default=1000, ge=1, description="Calls that wait for the ledger; those beyond are answered with 429."
    )
    read_seconds: float = Field(default=10.0, gt=0, description="Seconds within which a whole call must have come.")

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        if host != "localhost":
            ipaddress.ip_address(host)
        return host

    @model_validator(mode="after")
    def _guarded(self) -> EndpointTable:
        if not self.is_loopback and self.token_env is None:
            raise ValueError(
                f"{self.host} can be reached from other machines: set token_env to the name of an environment variable "
                "that holds the tokens to accept, or host to 127.0.0.1"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both or neither")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    def tokens(self) -> tuple[str, ...]:
        """The tokens that are accepted; none if every caller is.

        Raises:
            ConfigError: the variable that `token_env` names is not set, or empty.
        """
        if self.token_env is None:
            return ()
        found = tuple(each.strip() for each in os.environ.get(self.token_env, "").split(",") if each.strip())
        if not found:
            raise ConfigError(
                f"the environment variable {self.token_env}, which token_env names, is not set: set it to the token "
                "that callers send, or to several, separated by commas"
            )
        return found


class Tokens:
    """The tokens that an endpoint accepts.

    Args:
        accepted: as `EndpointTable.tokens` gives them; none lets every caller in.
    """

    def __init__(self, accepted: Sequence[str]) -> None:
        self._accepted = tuple(token.encode() for token in accepted)

    def __bool__(self) -> bool:
        return bool(self._accepted)

    def accept(self, token: Optional[str]) -> bool:
        """Whether a caller is let in who sent this token, or None; how long that takes tells nothing of the others."""
        sent = (token or "").encode("utf-8", "replace")
        matching = [hmac.compare_digest(sent, known) for known in self._accepted]
        return any(matching) or not matching


class CollectHttpSettings(EndpointTable):
    """`[tool.homeostasis.collect-http]`."""
