"""Heal rate by source: the demo's crashes, each told by one kind of monitoring only.

    python benchmarks/heal_by_source.py [--source NAME ...] [--json FILE] [--write-docs]

Both example services run under their real servers, without the project's own monitoring except for the source of that
name, and with a real emitter instead: an SDK or a logging library. The ordinary engine hears it through the ordinary
collector. A crash counts as *heard* if it became an incident, as *diagnosed* if a rule knew it, as *proven* if a patch
was accepted (the crash was repeated and is gone), and as *healed* if the service, started anew, answers the request
properly.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from homeostasis.cli.demo.service import EXAMPLES, Example, copy_example, find_examples, free_ports
from homeostasis.cli.demo.traffic import Call, load_traffic, send
from homeostasis.cli.demo.watcher import Watcher
from homeostasis.config import DEFAULT_PLUGINS
from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.models import State
from homeostasis.plugins import load_plugins
from homeostasis.project import Project

APPS = {"flask": "from shop import create_app\napp = create_app()\n", "fastapi": "from orders.main import app\n"}
HEARD_SECONDS, HEAL_SECONDS = 10.0, 60.0
DOCS = Path(__file__).parents[1] / "docs" / "howto" / "sources.md"
MARKS = ("<!-- begin heal rate -->", "<!-- end heal rate -->")

LOGGING = """
import logging, logging.config
logging.config.dictConfig(dict(
    version=1, disable_existing_loggers=False,
    formatters=dict(all={formatter}),
    handlers=dict(file={{"class": "logging.FileHandler", "filename": {file!r}, "formatter": "all"}}),
    root=dict(handlers=["file"], level="INFO"),
    loggers={{name: dict(propagate=True, handlers=[]) for name in ("uvicorn", "uvicorn.error")}},
))
"""
TEXT = 'dict(format="%(asctime)s %(levelname)s %(name)s: %(message)s")'
JSON = '{{"()": "pythonjsonlogger.json.JsonFormatter", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}}'
SENTRY = """
import sentry_sdk
sentry_sdk.init(dsn="http://key@127.0.0.1:{port}/1", max_request_body_size="always")
"""
OTLP = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider(resource=Resource.create({{"service.name": {service!r}}}))
exporter = OTLPSpanExporter("http://127.0.0.1:{port}/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
trace.set_tracer_provider(provider)
"""
OTLP_APP = {
    "flask": "from opentelemetry.instrumentation.flask import FlaskInstrumentor\n"
    "FlaskInstrumentor().instrument_app(app)\n",
    "fastapi": "from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor\n"
    "FastAPIInstrumentor.instrument_app(app)\n",
}


@dataclass
class Source:
    """One kind of monitoring: the code that sets it up, before and after the app is there, and who hears it."""

    title: str
    collector: str
    table: str
    before: str
    after: Callable[[str], str] = lambda _app: ""


SOURCES = {
    "monitoring": Source("own monitoring", "", "", ""),
    "sentry": Source("sentry-sdk", "collect-sentry", "port = {port}", SENTRY),
    "otlp": Source("OpenTelemetry traces", "collect-otlp", "port = {port}", OTLP, lambda app: OTLP_APP[app]),
    "json-logs": Source(
        "python-json-logger", "collect-logs", "files = [{file!r}]\nsettle = 0.2", LOGGING.replace("{formatter}", JSON)
    ),
    "text-logs": Source(
        "plain text logs", "collect-logs", "files = [{file!r}]\nsettle = 0.2", LOGGING.replace("{formatter}", TEXT)
    ),
}


@dataclass
class Told:
    """What became of one crash that one source told."""

    source: str
    app: str
    crash: str
    heard: bool = False
    diagnosed: bool = False
    proven: bool = False
    healed: bool = False
    reason: str = ""


def measure(name: str, app: str, directory: Path) -> Iterator[Told]:
    """Serve one example, crash it, and let what the source tells be healed."""
    source, example, examples = SOURCES[name], EXAMPLES[app], find_examples()
    root = directory / example.name
    copy_example(examples / example.name, root)
    port, listening = free_ports(2)
    traffic = load_traffic(examples / example.name / "traffic.json")
    values = {"port": listening, "file": str(directory / "app.log"), "service": example.name}
    _configure(root, source, values)
    (directory / "wrapped.py").write_text(source.before.format(**values) + APPS[app] + source.after(app), "utf-8")
    project = Project.load(root)
    watcher = Watcher(lambda _notice: None)
    stop = threading.Event()
    with Ledger.open(project) as ledger:
        engine = Engine(project, load_plugins(project), ledger, watcher)
        thread = threading.Thread(target=engine.serve, args=(stop,))
        thread.start()
        try:
            found = []
            for call in traffic.crashing:  # each on what the one before left: a patch is live after a restart
                with _Server(example, directory, root, port, own=not source.collector) as server:
                    server.ready(traffic.healthy[0])
                    for healthy in traffic.healthy:
                        send(port, healthy)
                    found.append(_tell(name, app, call, port, watcher, ledger))
        finally:
            stop.set()
            thread.join()
    with _Server(example, directory, root, port, own=False) as server:
        server.ready(traffic.healthy[0])
        for told, call in zip(found, traffic.crashing):
            told.healed = told.proven and call.is_proper(send(port, call))
    yield from found


def _configure(root: Path, source: Source, values: dict[str, Any]) -> None:
    file = root / "pyproject.toml"
    plugins = [*DEFAULT_PLUGINS, *([source.collector] if source.collector else [])]
    text = file.read_text("utf-8").replace('mode = "auto"', f'mode = "auto"\nplugins = {json.dumps(plugins)}')
    text = text.replace('chain = ["working-tree", "git-branch", "hotswap"]', 'chain = ["working-tree"]')
    if source.collector:
        text += f"\n[tool.homeostasis.{source.collector}]\n{source.table.format(**values)}\n"
    file.write_text(text, "utf-8")


def _tell(name: str, app: str, call: Call, port: int, watcher: Watcher, ledger: Ledger) -> Told:
    told, before = Told(name, app, call.name), watcher.known()
    send(port, call)
    deadline = time.monotonic() + HEARD_SECONDS
    while time.monotonic() < deadline and not watcher.known() - before:
        watcher.wait(0.1)
    new = watcher.known() - before
    if not new:
        told.reason = "never heard"
        return told
    told.heard, identifier = True, new.pop()
    deadline = time.monotonic() + HEAL_SECONDS
    while time.monotonic() < deadline:
        state = watcher.incident(identifier).state
        if state.ended or state in (State.OBSERVING, State.AWAITING_APPROVAL):
            break
        watcher.wait(0.1)
    told.diagnosed = ledger.diagnosis(identifier) is not None
    told.proven = state in (State.OBSERVING, State.HEALED)
    told.reason = "" if told.proven else ledger.reason(identifier)
    return told


class _Server:
    """The example under its server, with the module `wrapped` as its app."""

    def __init__(self, example: Example, directory: Path, root: Path, port: int, *, own: bool) -> None:
        command = [word.replace("shop:create_app()", "wrapped:app") for word in example.command(port)]
        self._command = [word.replace("orders.main:app", "wrapped:app") for word in command]
        env = {**os.environ, "PYTHONPATH": f"{directory}{os.pathsep}{root}", "HOMEOSTASIS_ENABLED": "1" if own else "0"}
        self._settings: dict[str, Any] = {"cwd": root, "env": env, "start_new_session": True}
        self._output = directory / "server.log"
        self._port = port

    def __enter__(self) -> _Server:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output, **self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:  # an exporter may wait for a collector that has ended
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def ready(self, probe: Call) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + 30
        while not send(self._port, probe).status:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"the server did not start:\n{self._output.read_text('utf-8')[-3000:]}")
            time.sleep(0.05)


def table(found: list[Told]) -> str:
    """One row for each source."""
    rows = ["| source | crashes | heard | diagnosed | proven | healed |", "| --- | --- | --- | --- | --- | --- |"]
    for name, source in SOURCES.items():
        mine = [told for told in found if told.source == name]
        if mine:
            steps = ("heard", "diagnosed", "proven", "healed")
            counts = [sum(getattr(told, step) for told in mine) for step in steps]
            rows.append(f"| {source.title} | {len(mine)} | {' | '.join(map(str, counts))} |")
    return "\n".join(rows)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--source", action="append", choices=SOURCES, help="only this one; may be repeated")
    parser.add_argument("--app", choices=APPS, help="only this example")
    parser.add_argument("--json", type=Path, help="write each crash to FILE")
    parser.add_argument("--write-docs", action="store_true", help="put the table into the docs")
    options = parser.parse_args()
    found: list[Told] = []
    for name in options.source or SOURCES:
        for app in [options.app] if options.app else APPS:
            with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as directory:
                found += measure(name, app, Path(directory).resolve())
            for told in found[-20:]:
                if (told.source, told.app) == (name, app):
                    sys.stderr.write(f"{name} {app} {told.crash}: {'healed' if told.healed else told.reason}\n")
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps([asdict(told) for told in found], indent=2), "utf-8")
    if options.write_docs:
        text = DOCS.read_text("utf-8")
        begin, end = (text.index(mark) for mark in MARKS)
        DOCS.write_text(f"{text[: begin + len(MARKS[0])]}\n\n{table(found)}\n\n{text[end:]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
