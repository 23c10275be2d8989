"""Notifications: who hears of what, how often, and what a message of the app can do with them."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from homeostasis.builtin import notify_email, notify_log, notify_webhook
from homeostasis.models import Notification, State
from homeostasis.oversight.notify import TRIES, Notifier

HOSTILE = "KeyError: '<!channel> *now* `rm`\r\nBcc: all@example.org\x1b[31m'"


@pytest.fixture
def told():
    """What the notifier of a test was told, and what it shall raise."""

    class Told(list):
        failures = 0

    return Told()


@pytest.fixture
def context(make_project, context_of, plugin_of, told):
    def notify(notification):
        if told.failures:
            told.failures -= 1
            raise ConnectionError("gone")
        told.append((notification.incident_id, notification.state))

    return context_of(make_project(), bell=plugin_of(homeostasis_notify=notify))


def notification_of(**changes):
    values = {
        "id": 7,
        "incident_id": "3f2a",
        "service": "shop",
        "state": State.AWAITING_APPROVAL,
        "reason": "mode is propose",
        "at": 1.0,
        "crash": "KeyError: 'sku'",
        "place": "shop/cart.py:12 in total",
        "patch": "answer 400",
        "effect": "refuse",
        "diff": "--- a/shop/cart.py\n+++ b/shop/cart.py\n",
    }
    return Notification(**{**values, **changes})


def test_each_change_is_told_once_and_in_order(context, event_of, told):
    """Only those that people want to hear of; a second delivery has nothing to add."""
    ledger, stop = context.ledger, threading.Event()
    incident, _ = ledger.record(event_of(context.project))
    for state in (State.DIAGNOSED, State.PATCHED, State.AWAITING_APPROVAL, State.DEPLOYING, State.OBSERVING):
        ledger.transition(incident.id, state)
    for _ in range(2):
        Notifier(context, "bell").deliver(stop)
    assert told == [(incident.id, State.AWAITING_APPROVAL), (incident.id, State.OBSERVING)]


def test_new_notifier_does_not_hear_of_the_past(context, event_of, told):
    """Who switches notifications on is not flooded with last year's incidents."""
    incident, _ = context.ledger.record(event_of(context.project))
    context.ledger.transition(incident.id, State.FAILED)
    stop = threading.Event()
    stop.set()
    Notifier(context, "bell").run(stop)
    context.ledger.transition(incident.id, State.HEALED)
    Notifier(context, "bell").deliver(threading.Event())
    assert told == [(incident.id, State.HEALED)]


def test_failure_is_tried_again_by_whoever_comes_next(context, event_of, told):
    """Nothing is skipped because the orchestrator ended meanwhile."""
    incident, _ = context.ledger.record(event_of(context.project))
    context.ledger.transition(incident.id, State.FAILED)
    told.failures = 1
    Notifier(context, "bell").deliver(threading.Event())
    assert told == []
    Notifier(context, "bell").deliver(threading.Event())
    assert told == [(incident.id, State.FAILED)]


def test_notifier_that_never_works_is_passed_over(context, event_of, told, monkeypatch):
    """With a word about it; what comes later is told again."""
    notifier = Notifier(context, "bell")
    incident, _ = context.ledger.record(event_of(context.project))
    context.ledger.transition(incident.id, State.FAILED)
    told.failures = TRIES
    for _ in range(TRIES):
        monkeypatch.setattr(notifier, "_again_at", 0.0)
        notifier.deliver(threading.Event())
    context.ledger.transition(incident.id, State.ROLLED_BACK)
    notifier.deliver(threading.Event())
    assert told == [(incident.id, State.ROLLED_BACK)]
    assert any("bell could not tell about" in notice.text for notice in context.observer.notices)


def test_log_holds_a_line_for_each(make_project):
    """That reads back as it was; states that are not wanted are left out."""
    project, settings = make_project(), notify_log.Settings(states=("awaiting_approval",))
    notify_log.homeostasis_notify(notification_of(crash=HOSTILE), project, settings)
    notify_log.homeostasis_notify(notification_of(state=State.HEALED), project, settings)
    lines = (project.root / ".homeostasis/notifications.jsonl").read_text().splitlines()
    assert [Notification.model_validate_json(line).crash for line in lines] == [HOSTILE]


@pytest.fixture
def webhook(monkeypatch):
    """A server that keeps what it gets, and answers with `server.answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append(json.loads(body))
            self.send_response(self.server.answer)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answer = [], 200
    monkeypatch.setenv("HOMEOSTASIS_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/services/T0/SECRET")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhook_posts_what_slack_understands(webhook):
    """The state, the place, the patch and what to do next."""
    notify_webhook.homeostasis_notify(notification_of(), None)
    body = webhook.got[0]
    assert body["text"] == "shop: awaiting approval: KeyError: 'sku'"
    text = body["blocks"][0]["text"]["text"]
    for part in ("shop/cart.py:12 in total", "answer 400 (refuse)", "homeostasis approve 3f2a"):
        assert part in text


def test_message_of_the_app_is_no_markup_in_slack(webhook):
    """It mentions no channel, makes no link, ends no block of code; and whatever its length, Slack takes it."""
    long = notification_of(crash=HOSTILE, reason="<" * 9000, diff="```<@U1>\n" * 2000)
    notify_webhook.homeostasis_notify(long, None)
    sent = json.dumps(webhook.got[0])
    assert "<" not in sent
    assert "&lt;!channel&gt;" in sent
    for block in webhook.got[0]["blocks"]:
        assert len(block["text"]["text"]) <= 3000
    assert webhook.got[0]["blocks"][1]["text"]["text"].count("```") == 2


def test_webhook_as_json(webhook):
    """For programs: the notification itself."""
    notify_webhook.homeostasis_notify(notification_of(), notify_webhook.Settings(format="json"))
    assert Notification.model_validate(webhook.got[0]) == notification_of()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "HOMEOSTASIS_WEBHOOK_URL holds no"),
        ("file:///etc/passwd", "holds no"),
        ("http://127.0.0.1:1/SECRET", "cannot be reached"),
    ],
)
def test_webhook_that_does_not_work_is_told_without_its_url(monkeypatch, url, complaint):
    """The URL is a secret."""
    monkeypatch.setenv("HOMEOSTASIS_WEBHOOK_URL", url)
    with pytest.raises(notify_webhook.WebhookError, match=complaint) as raised:
        notify_webhook.homeostasis_notify(notification_of(), None)
    assert "SECRET" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_webhook_that_refuses_is_told(webhook):
    """With the status that it answered."""
    webhook.answer = 403
    with pytest.raises(notify_webhook.WebhookError, match="status 403"):
        notify_webhook.homeostasis_notify(notification_of(), None)


@pytest.fixture
def mailbox():
    """A small SMTP server: `server.mails` are the texts that it took."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            while True:
                line = self.rfile.readline().strip().upper()
                if line.startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    text = b""
                    while not text.endswith(b"\r\n.\r\n"):
                        text += self.rfile.readline()
                    self.server.mails.append(text.decode())
                self.wfile.write(b"221 bye\r\n" if line == b"QUIT" else b"250 fine\r\n")
                if line in (b"QUIT", b""):
                    return

    server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
    server.mails = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_mail_arrives_with_the_diff(mailbox):
    """And with what to do next."""
    settings = notify_email.Settings(host="127.0.0.1", port=mailbox.server_address[1], to=("ops@example.org",))
    notify_email.homeostasis_notify(notification_of(), settings)
    text = mailbox.mails[0]
    for part in ("Subject: [homeostasis] shop: awaiting approval", "+++ b/shop/cart.py", "homeostasis approve 3f2a"):
        assert part in text


def test_message_of_the_app_adds_no_header():
    """A line break in an exception's message does not begin a header."""
    mail = notify_email.message(notification_of(crash=HOSTILE), notify_email.Settings(to=("ops@example.org",)))
    assert mail["Bcc"] is None
    assert set(mail.keys()) <= {
        "Subject", "From", "To", "X-Homeostasis-Incident", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"
    }  # fmt: skip
    assert "\x1b" not in mail.as_string()


def test_mail_that_cannot_be_sent_is_told():
    """Without addresses, and without a server."""
    with pytest.raises(notify_email.EmailError, match="to in"):
        notify_email.homeostasis_notify(notification_of(), notify_email.Settings())
    nobody = notify_email.Settings(host="127.0.0.1", port=1, to=("ops@example.org",))
    with pytest.raises(notify_email.EmailError, match=r"127\.0\.0\.1:1 did not take the mail"):
        notify_email.homeostasis_notify(notification_of(), nobody)
