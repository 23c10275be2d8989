"""`[tool.homeostasis.sandbox-venv]`."""

from __future__ import annotations

import ipaddress
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from homeostasis.config import Table


class Settings(Table):
    """What the sandbox gives to the app and what it takes away."""

    env: dict[str, str] = Field(default_factory=dict, description="Variables that the app needs inside.")
    pass_env: tuple[str, ...] = Field(default=(), description="Names of variables that are passed on from outside.")
    read_only: tuple[str, ...] = Field(
        default=(), description="Further directories in the home or temporary directory that the app may read."
    )
    memory_mb: int = Field(default=4096, ge=64, description="Address space of one process, in MiB.")
    cpu_seconds: int = Field(default=600, ge=1, description="Processor time of one process, in seconds.")
    file_mb: int = Field(
        default=1024,
        ge=1,
        description="Largest file that is written, and most that a private directory in memory takes, in MiB.",
    )
    processes: int = Field(default=256, ge=8, description="Processes and threads beyond those that run already.")
    require: Literal["bubblewrap", "landlock", "rlimits"] | None = Field(
        default=None, description="Least isolation: without it no patch is tried. By default the best that works here."
    )
    allow_hosts: tuple[str, ...] = Field(
        default=(), description="Services on loopback that the app may reach, such as `127.0.0.1:5432`."
    )
    files: dict[str, str] = Field(
        default_factory=dict,
        description="Files that are copied into each trial: path in the tree to the file that it is copied from.",
    )
    exact: bool = Field(
        default=False,
        description="Install what the lock file or requirements.txt pins, by uv from its cache, instead of an overlay.",
    )
    setup: tuple[str, ...] = Field(default=(), description="Commands that are run in each trial before it is used.")

    @field_validator("allow_hosts")
    @classmethod
    def _only_loopback(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for entry in hosts:
            host, _, port = entry.rpartition(":")
            if not (_is_loopback(host.strip("[]")) and port.isdigit() and 0 < int(port) < 65536):
                raise ValueError(f"{entry!r} is not an address and port on loopback, such as 127.0.0.1:5432")
        return hosts

    @field_validator("files")
    @classmethod
    def _inside_the_tree(cls, files: dict[str, str]) -> dict[str, str]:
        for path in files:
            parts = PurePosixPath(path).parts
            if not parts or path.startswith("/") or ".." in parts or "\0" in path:
                raise ValueError(f"{path!r} does not name a file in the project")
        return files

    @property
    def ports(self) -> list[int]:
        """The ports of `allow_hosts`."""
        return sorted({int(entry.rpartition(":")[2]) for entry in self.allow_hosts})


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
