"""Settings that every collector has which asks a log store."""

from __future__ import annotations

import os
from typing import Optional
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from homeostasis.collecting.settings import CollectorTable
from homeostasis.errors import ConfigError


class PullTable(CollectorTable):
    """Base of the table of a plugin that asks a log store."""

    url: str = Field(description="Where the store is, such as `https://logs.example.org`, with a path if it has one.")
    token_env: Optional[str] = Field(
        default=None, description="Name of the environment variable that holds the token to send."
    )
    user: Optional[str] = Field(default=None, description="User name, with `password_env`.")
    password_env: Optional[str] = Field(
        default=None, description="Name of the environment variable that holds the password of `user`."
    )
    tls_ca: Optional[str] = Field(
        default=None,
        description="PEM file with the authorities that the store's certificate may be of, relative to the project; by "
        "default the machine's.",
    )
    since: float = Field(
        default=300.0, ge=0, description="How far back, in seconds, the first look goes; later ones go on from there."
    )
    interval: float = Field(default=5.0, gt=0, description="Seconds between two looks.")
    delay: float = Field(
        default=5.0,
        ge=0,
        description="Seconds for which entries are left alone: others of the same time may still come. After a restart "
        "only what came sooner than that is sure to be found.",
    )
    overlap: float = Field(
        default=15.0,
        ge=0,
        description="Seconds that each look goes over again, for entries that came late; what was read is known.",
    )
    page: int = Field(default=1000, ge=2, le=5000, description="Entries that are asked for at once.")
    settle: float = Field(
        default=1.0,
        ge=0,
        description="Seconds, after the look that follows, without a further line after which a traceback counts as "
        "complete.",
    )
    max_response_bytes: int = Field(
        default=67108864, ge=65536, description="Largest answer that is read; with larger ones, pages get smaller."
    )
    max_line_bytes: int = Field(
        default=1048576, ge=1024, description="Longest line that is read; longer ones are counted as lost."
    )
    max_event_lines: int = Field(default=2000, ge=10, description="Longest traceback that is read, in lines.")
    timeout: float = Field(
        default=30.0, gt=0, description="Seconds for which the store may be silent before or within an answer."
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} must be an http or https address without a query")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the address must not hold a password: use user and password_env")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _paired(self) -> PullTable:
        if (self.user is None) != (self.password_env is None):
            raise ValueError("user and password_env belong together: set both or neither")
        if self.user is not None and self.token_env is not None:
            raise ValueError("set either token_env, or user and password_env")
        return self

    def token(self) -> Optional[str]:
        """The token, or None if none is to be sent.

        Raises:
            ConfigError: the variable that `token_env` names is not set, or holds what no header can.
        """
        if self.token_env is None:
            return None
        token = _variable(self.token_env, "token_env")
        if not (token.isascii() and token.isprintable()):  # the client's own error would show it
            raise ConfigError(f"the environment variable {self.token_env} holds characters that no token has")
        return token

    def password(self) -> str:
        """The password of `user`.

        Raises:
            ConfigError: the variable that `password_env` names is not set, or empty.
        """
        return _variable(self.password_env or "", "password_env")


def _variable(name: str, key: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {name}, which {key} names, is not set")
    return value
