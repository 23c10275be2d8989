"""What the built-in notifiers have in common: which states they tell of, and how they word it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from homeostasis.config import Table
from homeostasis.models import Notification

_LONGEST_LINE = 300

Told = Literal["awaiting_approval", "observing", "healed", "unfixable", "rejected", "rolled_back", "failed"]


class StatesTable(Table):
    """The setting that each notifier has."""

    states: tuple[Told, ...] = Field(
        default=("awaiting_approval", "observing", "healed", "rolled_back", "failed"),
        description="States of an incident that are told.",
    )


def lines(notification: Notification) -> list[str]:
    """The notification in a few short lines of plain text, without its diff."""
    told = [
        notification.title,
        f"at {notification.place}" if notification.place else "",
        f"patch: {notification.patch} ({notification.effect})" if notification.patch else "",
        notification.reason,
        f"next: {notification.next_step}" if notification.next_step else "",
    ]
    return [_line(text) for text in told if text]


def _line(text: str) -> str:
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= _LONGEST_LINE else flat[: _LONGEST_LINE - 3] + "..."
