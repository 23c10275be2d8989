"""The settings of the deployers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from homeostasis.config import Table


class ReloadTable(Table):
    """`[tool.homeostasis.reload]`."""

    command: tuple[str, ...] = Field(
        default=(),
        description="Program and arguments that reload the app; wins over every other way.",
    )
    systemd_unit: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9:_.@\\-]*$",
        description="Reloaded with `systemctl reload-or-restart UNIT`. For another service manager, or a user's unit, "
        "set `command`.",
    )
    timeout: float = Field(
        default=30.0, gt=0, description="Seconds until the reloaded workers must be there and healthy."
    )
    health_url: str | None = Field(
        default=None,
        description="Asked after a reload and while the first swapped worker is watched; must answer with a status "
        "below 400.",
    )

    @field_validator("health_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("expected an http:// or https:// address")
        return url

    @model_validator(mode="after")
    def _one_way(self) -> ReloadTable:
        if self.command and self.systemd_unit is not None:
            raise ValueError("set command or systemd_unit, not both")
        return self

    @property
    def reload_command(self) -> tuple[str, ...]:
        """What to run in order to reload; empty if nothing was set."""
        if self.systemd_unit is not None:
            return ("systemctl", "reload-or-restart", self.systemd_unit)
        return self.command


class HotswapTable(ReloadTable):
    """`[tool.homeostasis.hotswap]`."""

    fallback: Literal["reload", "fail"] = Field(
        default="reload", description="What to do if a body swap is not enough and the files hold the patch already."
    )
    answer_timeout: float = Field(default=10.0, gt=0, description="Seconds for a worker to answer.")
    canary_seconds: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="How long the first swapped worker is watched at least, in seconds, before the others are swapped. "
        "A crash in the patched functions, its death, a bad answer of health_url, or routes that fail more or have "
        "become slow beside the other workers take the patch back. 0 waits for its acknowledgement only.",
    )
    canary_requests: int = Field(
        default=50,
        ge=1,
        description="Requests that the first worker, and all others together, must answer meanwhile for their "
        "comparison to say something.",
    )
    canary_longest: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="Seconds that canary_requests are waited for, if these are more than canary_seconds.",
    )
    canary_undecided: Literal["go-on", "take-back"] = Field(
        default="go-on",
        description="What to do if fewer requests came, or there are no other workers. The release says so either way.",
    )
