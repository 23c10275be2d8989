"""The notifier `notify-log`: a line of JSON for each change of state, for tools that read log files."""

from __future__ import annotations

from pydantic import BaseModel, Field

from homeostasis import hookimpl
from homeostasis.builtin.notified import StatesTable
from homeostasis.models import Notification
from homeostasis.project import Project


class Settings(StatesTable):
    """`[tool.homeostasis.notify-log]`."""

    file: str = Field(
        default=".homeostasis/notifications.jsonl", description="Where to write, relative to the project or absolute."
    )


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The table of this notifier."""
    return Settings


@hookimpl
def homeostasis_notify(notification: Notification, project: Project, settings: Settings | None) -> None:
    """Append the notification to the file."""
    table = settings or Settings()
    if notification.state.value not in table.states:
        return
    path = project.root / table.file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(notification.model_dump_json() + "\n")
