"""Each setting does what it says, wherever it is set: in the code, in the environment, in the project."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from homeostasis.monitoring import client as clients
from homeostasis.monitoring import hooks, storms
from homeostasis.monitoring.config import Settings
from homeostasis.monitoring.request import RequestState
from homeostasis.monitoring.values import describe_value
from homeostasis.monitoring.wsgi import WsgiMonitor


class App:
    """What the probes below do to a monitored process."""

    def __init__(self, client: clients.Client, project: Path, load: Any, raised_by: Any) -> None:
        self.client, self.project, self.load, self.raised_by = client, project, load, raised_by

    def raised(self, body: str = "raise Own('x')", name: str = "shop.experiments") -> BaseException:
        source = f"class Own(LookupError):\n    pass\ndef crash():\n    {body}\n"
        return self.raised_by(self.load(name, source)["crash"])

    def records(self, kind: str) -> list[dict[str, Any]]:
        assert self.client.flush(60)
        files = sorted((self.project / ".homeostasis" / "spool").glob("*.jsonl"))
        lines = [line for file in files for line in file.read_bytes().splitlines()]
        return [record for record in map(json.loads, lines) if record["record"] == kind]

    def post(self, body: bytes) -> dict[str, Any]:
        def app(environ: Any, start_response: Any) -> Any:
            environ["wsgi.input"].read()
            raise ValueError("x")

        environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        self.raised_by(WsgiMonitor(app), environ, None)
        (event,) = self.records("event")
        return event["request"]


def captured(app: App) -> bool:
    return app.client.capture(app.raised())


def captured_404(app: App) -> bool:
    base = type("HTTPException", (Exception,), {"__module__": "werkzeug.exceptions", "code": 404})
    return app.client.capture(type("NotFound", (base,), {})())


def body(app: App) -> tuple[bytes, bool]:
    request = app.post(b"0123456789")
    return base64.urlsafe_b64decode(request["body"]), request["body_truncated"]


def fresh_captures(app: App) -> int:
    crash = app.load("shop", "def crash():\n    1 / 0\n")["crash"]
    for _ in range(3):
        app.client.capture(app.raised_by(crash))
    return len(app.records("event"))


def warning_captured(app: App) -> int:
    hooks.logged(app.raised(), logging.WARNING, "shop")
    return len(app.records("event"))


def largest_event(app: App) -> bool:
    lines = "".join(f"    v{number} = 'x' * 900\n" for number in range(60))
    app.client.capture(app.raised(f"pass\n{lines}    1 / 0"))
    return len(json.dumps(app.records("event")[0])) < 9000


def spool_size(app: App) -> bool:
    for number in range(300):
        app.client.record({"record": "sample", "number": number, "text": "x" * 1000})
        if number % 50 == 0:
            app.client.flush(60)
    app.client.flush(60)
    return sum(file.stat().st_size for file in app.project.glob(".homeostasis/spool/*")) <= 65536


def samples(app: App) -> int:
    for number in range(8):
        app.client.answered(RequestState("wsgi", {"PATH_INFO": "/a", "QUERY_STRING": str(number)}), 0.001)
    return len(app.records("sample"))


def redacted(app: App) -> bool:
    return bool(describe_value({"national-id": "x"}, app.client.redactor)["redacted"])


def captures_at_once(app: App) -> int:
    for number in range(60):
        app.client.capture(app.raised(f"0 + {'0 + ' * number}1 / 0", f"shop{number}"))
    return len(app.records("event"))


def injected(app: App) -> bool:
    return app.client.settings.inject


EFFECTS: list[tuple[str, Any, Callable[[App], Any], Any, Any]] = [
    ("enabled", False, captured, False, True),
    ("inject", False, injected, False, True),
    ("exclude_modules", ["other", "shop"], captured, False, True),
    ("exclude_modules", ["shop.exp*"], captured, False, True),
    ("exclude_modules", ["sho"], captured, True, True),
    ("exclude_error_types", ["Own"], captured, False, True),
    ("exclude_error_types", ["shop.experiments.Own"], captured, False, True),
    ("exclude_error_types", ["LookupError"], captured, False, True),
    ("exclude_error_types", ["builtins.LookupError"], captured, False, True),
    ("exclude_error_types", ["shop.*.O?n"], captured, False, True),
    ("exclude_error_types", ["KeyError"], captured, True, True),
    ("capture_404", True, captured_404, True, False),
    ("capture_request_body", False, body, (b"", False), (b"0123456789", False)),
    ("max_body_bytes", 4, body, (b"0123", True), (b"0123456789", False)),
    ("sample_rate", 0.0, fresh_captures, 1, 3),
    ("level", "WARNING", warning_captured, 1, 0),
    ("max_event_bytes", 8192, largest_event, True, False),
    ("max_spool_bytes", 65536, spool_size, True, False),
    ("healthy_samples", 2, samples, 2, 5),
    ("redact_names", ["National ID"], redacted, True, False),
    ("max_captures_per_second", 10, captures_at_once, 10, 50),
]


@pytest.fixture
def app(project: Path, load: Any, raised_by: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., App]:
    """A monitored process with a setting from one of the places; its clock stands still."""
    monkeypatch.setattr(storms, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(clients.time, "time", lambda: 1e9)

    def start(place: str, key: str, value: Any) -> App:
        config: dict[str, Any] = {"project": str(project)}
        if place == "argument":
            config[key] = value
        elif place == "environment":
            text = (
                ",".join(value) if isinstance(value, list) else str(value).lower() if value in (True, False) else value
            )
            monkeypatch.setenv(f"HOMEOSTASIS_{key.upper()}", str(text))
        elif place == "project" and sys.version_info >= (3, 11):
            table = f"[tool.homeostasis.monitoring]\n{key} = {json.dumps(value)}\n"
            (project / "pyproject.toml").write_text(f"[tool.homeostasis]\n{table}", encoding="utf-8")
        elif place == "project":
            (project / ".homeostasis").mkdir()
            file = project / ".homeostasis" / "monitoring.json"
            file.write_text(json.dumps({"monitoring": {key: value}}), encoding="utf-8")
        return App(clients.configure(config), project, load, raised_by)

    return start


@pytest.mark.parametrize("place", ["argument", "environment", "project", "nowhere"])
@pytest.mark.parametrize(
    ("key", "value", "probe", "expected", "default"), EFFECTS, ids=[f"{key}={value}" for key, value, *_ in EFFECTS]
)
def test_effect(
    app: Any, place: str, key: str, value: Any, probe: Callable[[App], Any], expected: Any, default: Any
) -> None:
    """The setting works from each place, and its default is what it is without."""
    assert probe(app(place, key, value)) == (default if place == "nowhere" else expected)


def test_every_setting_has_an_effect_above() -> None:
    """No setting of the table is left untested; where the project lies and what it is called are tested elsewhere."""
    assert {key for key, *_ in EFFECTS} == set(Settings._fields) - {"project", "service"}
