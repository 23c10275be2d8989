"""The collectors keep their contract."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request

import msgpack

import homeostasis.builtin.spool
import homeostasis_collect_http.plugin
import homeostasis_collect_logs.plugin
import homeostasis_collect_otlp.plugin
import homeostasis_collect_sentry.plugin
import homeostasis_collect_trackers.plugin
from homeostasis.testing.conformance import CollectConformance

PATIENCE = 30.0


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def deliver(url, body, headers):
    """Send a report as an SDK does: again and again until it is acknowledged, without waiting for that here."""

    def send():
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5):
                    return
            except (OSError, urllib.error.HTTPError):
                time.sleep(0.05)

    threading.Thread(target=send, daemon=True).start()


class TestSpool(CollectConformance):
    name = "spool"
    plugin = homeostasis.builtin.spool

    def feed(self, project, event):
        """Write a record as a monitored process does, into a segment of its own."""
        project.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = {"record": "event", **event.model_dump(mode="json")}
        segment = project.spool / f"{time.time_ns()}-{os.getpid()}-0.jsonl"
        segment.write_text(json.dumps(record) + "\n", encoding="utf-8")


class TestLogs(CollectConformance):
    name = "collect-logs"
    plugin = homeostasis_collect_logs.plugin
    settings = {"files": ["*.log"], "settle": 0.1, "interval": 0.05}

    def feed(self, project, event):
        """Append the traceback as Python prints it to a log."""
        raised = event.raised
        lines = ["ERROR:shop:it failed", "Traceback (most recent call last):"]
        for frame in raised.frames:
            lines += [f'  File "{frame.path}", line {frame.span.line}, in {frame.function}', f"    {frame.source_line}"]
        with (project.root / "app.log").open("a", encoding="utf-8") as log:
            log.write("\n".join([*lines, f"{raised.dotted}: {raised.message}"]) + "\n")


class TestFluentd(CollectConformance):
    name = "collect-logs"
    plugin = homeostasis_collect_logs.plugin
    settings = {"listen": [f"fluent+tcp://127.0.0.1:{free_port()}"], "settle": 0.1}

    def feed(self, project, event):
        """Send the traceback as a forwarder does: again and again until it is acknowledged."""
        raised = event.raised
        lines = ["Traceback (most recent call last):"]
        for frame in raised.frames:
            lines += [f'  File "{frame.path}", line {frame.span.line}, in {frame.function}', f"    {frame.source_line}"]
        record = {"log": "\n".join([*lines, f"{raised.dotted}: {raised.message}"])}
        chunk = msgpack.packb(["shop", [[event.timestamp, record]], {"chunk": event.id}])
        port = int(self.settings["listen"][0].rpartition(":")[2])

        def send():
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                        connection.sendall(chunk)
                        if connection.recv(1000) == msgpack.packb({"ack": event.id}):
                            return
                except OSError:
                    time.sleep(0.05)

        threading.Thread(target=send, daemon=True).start()


class TestTrackers(CollectConformance):
    name = "collect-trackers"
    plugin = homeostasis_collect_trackers.plugin
    settings = {"port": free_port()}

    def feed(self, project, event):
        """Report as rollbar's SDK does."""
        raised = event.raised
        frames = [
            {"filename": each.path, "lineno": each.span.line, "method": each.function, "code": each.source_line}
            for each in raised.frames
        ]
        trace = {"frames": frames, "exception": {"class": raised.type, "message": raised.message}}
        item = {"data": {"uuid": event.id, "level": "error", "body": {"trace_chain": [trace]}}}
        url = f"http://127.0.0.1:{self.settings['port']}/api/1/item/"
        deliver(url, json.dumps(item).encode(), {"Content-Type": "application/json"})


class TestHttp(CollectConformance):
    name = "collect-http"
    plugin = homeostasis_collect_http.plugin
    settings = {"port": free_port()}

    def feed(self, project, event):
        """Send a record as it stands in a spool."""
        record = {"record": "event", **event.model_dump(mode="json")}
        deliver(f"http://127.0.0.1:{self.settings['port']}/v1/records", json.dumps(record).encode(), {})


class TestSentry(CollectConformance):
    name = "collect-sentry"
    plugin = homeostasis_collect_sentry.plugin
    settings = {"port": free_port()}

    def feed(self, project, event):
        """Store an event as Sentry's SDK does."""
        raised = event.raised
        frames = [
            {
                "abs_path": each.path,
                "lineno": each.span.line,
                "function": each.function,
                "context_line": each.source_line,
            }
            for each in raised.frames
        ]
        value = {"type": raised.type, "value": raised.message, "stacktrace": {"frames": frames}}
        report = {"event_id": event.id, "platform": "python", "exception": {"values": [value]}}
        url = f"http://127.0.0.1:{self.settings['port']}/api/1/store/?sentry_key=key"
        deliver(url, json.dumps(report).encode(), {"Content-Type": "application/json"})


class TestOtlp(CollectConformance):
    name = "collect-otlp"
    plugin = homeostasis_collect_otlp.plugin
    settings = {"port": free_port(), "grpc_port": free_port()}

    def feed(self, project, event):
        """Export a log record as OpenTelemetry's SDK does."""
        raised = event.raised
        lines = ["Traceback (most recent call last):"]
        for frame in raised.frames:
            lines += [f'  File "{frame.path}", line {frame.span.line}, in {frame.function}', f"    {frame.source_line}"]
        stack = "\n".join([*lines, f"{raised.dotted}: {raised.message}"])
        told = [
            {"key": "exception.type", "value": {"stringValue": raised.type}},
            {"key": "exception.stacktrace", "value": {"stringValue": stack}},
        ]
        record = {"timeUnixNano": str(int(event.timestamp * 1e9)), "attributes": told}
        body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
        url = f"http://127.0.0.1:{self.settings['port']}/v1/logs"
        deliver(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
