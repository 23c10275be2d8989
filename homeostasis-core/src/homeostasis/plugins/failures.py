"""What is known of a plugin, and what went wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PluginState:
    """One line of `homeostasis plugins`."""

    name: str
    state: Literal["loaded", "refused", "not allowed", "missing"]
    distribution: str = ""
    version: str = ""
    module: str = ""
    hooks: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Failure:
    """A hook that raised, or returned what it must not. Its result was dropped; the others went on."""

    plugin: str
    hook: str
    message: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} failed in {self.hook}: {self.message}"
