"""The notifier `notify-webhook`: posts to an incoming webhook of Slack, or of anything that speaks its format."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from homeostasis import hookimpl
from homeostasis.builtin.notified import StatesTable, lines
from homeostasis.errors import HomeostasisError
from homeostasis.models import Notification

_SLACK_LONGEST = 2900
"""Characters of a Slack block's text, which may have 3000."""


class Settings(StatesTable):
    """`[tool.homeostasis.notify-webhook]`."""

    url_variable: str = Field(
        default="HOMEOSTASIS_WEBHOOK_URL",
        description="Environment variable that holds the URL. The URL is a secret: it has no place in a file.",
    )
    format: Literal["slack", "json"] = Field(
        default="slack", description="A message for Slack, Mattermost or Rocket.Chat; or the notification as JSON."
    )
    timeout: float = Field(default=10.0, gt=0, le=60, description="Seconds for one request.")


class WebhookError(HomeostasisError):
    """The webhook did not take a notification."""


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The table of this notifier."""
    return Settings


@hookimpl
def homeostasis_notify(notification: Notification, settings: Settings | None) -> None:
    """Post the notification.

    Raises:
        WebhookError: the variable is not set, or the server did not answer with a 2xx. The URL is never part of it.
    """
    table = settings or Settings()
    if notification.state.value not in table.states:
        return
    url = os.environ.get(table.url_variable, "")
    if urlsplit(url).scheme not in ("http", "https"):
        raise WebhookError(f"the variable {table.url_variable} holds no http(s) URL")
    body = slack(notification) if table.format == "slack" else notification.model_dump(mode="json")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=table.timeout):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        with error:
            raise WebhookError(f"the webhook answered with status {error.code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise WebhookError(f"the webhook cannot be reached: {type(reason).__name__}") from None


def slack(notification: Notification) -> dict[str, Any]:
    """The notification as a Slack message: a text for the notification area, and blocks."""
    title, *rest = lines(notification)
    blocks: list[dict[str, Any]] = [_section(f"*{_escaped(title)}*\n" + "\n".join(map(_escaped, rest)))]
    if notification.diff and notification.next_step:
        # Backticks would end the block of code, and what follows would be read as markup.
        shown = _escaped(notification.diff.replace("`", "'"))[: _SLACK_LONGEST - 6]
        blocks.append(_section(f"```{shown}```"))
    return {"text": _escaped(title), "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_SLACK_LONGEST]}}


def _escaped(text: str) -> str:
    """Slack's control characters as entities: a message of the app must not mention a channel or make a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
