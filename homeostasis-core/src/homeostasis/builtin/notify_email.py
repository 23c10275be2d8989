"""The notifier `notify-email`: a plain text mail for each change of state, with the diff."""

from __future__ import annotations

import os
import smtplib
import ssl
from email.message import EmailMessage

from pydantic import BaseModel, Field

from homeostasis import hookimpl
from homeostasis.builtin.notified import StatesTable, lines
from homeostasis.errors import HomeostasisError
from homeostasis.models import Notification


class Settings(StatesTable):
    """`[tool.homeostasis.notify-email]`."""

    host: str = Field(default="localhost", description="The SMTP server.")
    port: int = Field(default=25, ge=1, le=65535, description="Its port: 25, 587 with `starttls`, 465 with `tls`.")
    security: str = Field(
        default="plain", pattern="^(plain|starttls|tls)$", description="`plain`, `starttls`, or `tls` from the start."
    )
    username: str | None = Field(default=None, description="Who logs in; nobody by default.")
    password_variable: str = Field(
        default="HOMEOSTASIS_SMTP_PASSWORD", description="Environment variable that holds the password."
    )
    sender: str = Field(default="homeostasis@localhost", description="Address that the mail comes from.")
    to: tuple[str, ...] = Field(default=(), description="Addresses that it goes to.")
    timeout: float = Field(default=15.0, gt=0, le=120, description="Seconds for each step of the conversation.")


class EmailError(HomeostasisError):
    """The mail could not be handed over."""


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The table of this notifier."""
    return Settings


@hookimpl
def homeostasis_notify(notification: Notification, settings: Settings | None) -> None:
    """Send a mail.

    Raises:
        EmailError: there is nobody to send it to, or the server did not take it.
    """
    table = settings or Settings()
    if notification.state.value not in table.states:
        return
    if not table.to:
        raise EmailError("to in [tool.homeostasis.notify-email] is empty: name the addresses that mails go to")
    try:
        _send(message(notification, table), table)
    except (OSError, smtplib.SMTPException) as error:
        raise EmailError(f"{table.host}:{table.port} did not take the mail: {error}") from error


def message(notification: Notification, table: Settings) -> EmailMessage:
    """The mail. Its subject is one printable line, whatever the app's message held."""
    title, *rest = lines(notification)
    mail = EmailMessage()
    mail["Subject"] = f"[homeostasis] {title}"
    mail["From"] = table.sender
    mail["To"] = ", ".join(table.to)
    mail["X-Homeostasis-Incident"] = notification.incident_id
    body = [*rest, "", notification.diff] if notification.diff else rest
    mail.set_content("\n".join(body) + "\n")
    return mail


def _send(mail: EmailMessage, table: Settings) -> None:
    context = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(table.host, table.port, timeout=table.timeout, context=context)
        if table.security == "tls"
        else smtplib.SMTP(table.host, table.port, timeout=table.timeout)
    ) as server:
        if table.security == "starttls":
            server.starttls(context=context)
        if table.username is not None:
            server.login(table.username, os.environ.get(table.password_variable, ""))
        server.send_message(mail)
