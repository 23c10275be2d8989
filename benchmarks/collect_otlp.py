"""How many crashes a second `collect-otlp` takes on one core, over HTTP and gRPC, and how much memory that needs.

    python benchmarks/collect_otlp.py [--events 100000] [--json]

The orchestrator with its ledger runs in a process of its own on one core, the sender on another. Each crash is one of
200 at different places. `events_per_cpu_second` is what one core would sustain if nothing else ran on it. The memory is
what the orchestrator has, and by how much it has grown since a twentieth as many events warmed it up.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.plugins import load_plugins
from homeostasis.project import Project

PLACES = 200
CONNECTIONS = 8
"""Processes that send at a time, as it were: what they send meanwhile is written together."""
SHOP = "\n".join(f"def price_{number}(row):\n    return row['price']\n" for number in range(PLACES))
STACK = """Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/flask/app.py", line 1511, in wsgi_app
    response = self.full_dispatch_request()
  File "/usr/lib/python3.11/site-packages/flask/app.py", line 919, in full_dispatch_request
    rv = self.handle_user_exception(e)
  File "/usr/lib/python3.11/site-packages/flask/app.py", line 917, in full_dispatch_request
    rv = self.dispatch_request()
  File "/usr/lib/python3.11/site-packages/flask/app.py", line 902, in dispatch_request
    return self.ensure_sync(self.view_functions[rule.endpoint])(**view_args)
  File "/app/shop.py", line {line}, in price_{place}
    return row['price']
           ~~~^^^^^^^^^
KeyError: 'price'
"""
STACKS = [STACK.format(place=place, line=3 * place + 2) for place in range(PLACES)]
SETTINGS = 'mode = "observe"\nplugins = ["collect-otlp"]\n[tool.homeostasis.collect-otlp]\npath_map = {"/app" = "."}\n'


def attributes(holder: Any, **found: str) -> None:
    for name, value in found.items():
        item = holder.attributes.add(key=name.replace("_", "."))
        item.value.string_value = value


def told(holder: Any, number: int) -> None:
    attributes(
        holder, exception_type="KeyError", exception_message="'price'", exception_stacktrace=STACKS[number % PLACES]
    )


def logs(numbers: range, *, sampled: bool = False) -> bytes:
    """Log records, each with an exception."""
    message = ExportLogsServiceRequest()
    held = message.resource_logs.add()
    attributes(held.resource, service_name="shop", telemetry_sdk_language="python", host_name="web-1")
    scope, now = held.scope_logs.add(), time.time_ns()
    for number in numbers:
        record = scope.log_records.add(time_unix_nano=now + number, severity_number=17)
        record.body.string_value = "it failed"
        if sampled:
            record.trace_id, record.span_id, record.flags = number.to_bytes(16, "big"), number.to_bytes(8, "big"), 1
        attributes(record, code_file_path="/app/shop.py", code_function_name="show")
        told(record, number)
    body: bytes = message.SerializeToString()
    return body


def waiting(numbers: range) -> bytes:
    """The same in traces of which no span comes: each waits, as long as there is room."""
    return logs(numbers, sampled=True)


def spans(numbers: range) -> bytes:
    """Spans of servers, each with an exception and a request."""
    message = ExportTraceServiceRequest()
    held = message.resource_spans.add()
    attributes(held.resource, service_name="shop", telemetry_sdk_language="python", host_name="web-1")
    scope, now = held.scope_spans.add(), time.time_ns()
    scope.scope.name = "opentelemetry.instrumentation.flask"
    for number in numbers:
        span = scope.spans.add(
            name="GET /orders", kind=2, trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big")
        )
        span.start_time_unix_nano, span.end_time_unix_nano = now + number, now + number + 20_000_000
        attributes(span, http_request_method="GET", url_path=f"/orders/{number}", http_route="/orders/<n>")
        told(span.events.add(name="exception", time_unix_nano=now + number), number)
    body: bytes = message.SerializeToString()
    return body


SIGNALS: dict[str, tuple[Callable[[range], bytes], str, str]] = {
    "logs": (logs, "/v1/logs", "logs.v1.LogsService"),
    "logs that wait": (waiting, "/v1/logs", "logs.v1.LogsService"),
    "spans": (spans, "/v1/traces", "trace.v1.TraceService"),
}


def send_http(port: int, path: str, bodies: Iterator[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", path, body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"status {answer.status}")


def send_grpc(port: int, service: str, bodies: Iterator[bytes]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        export = channel.unary_unary(f"/opentelemetry.proto.collector.{service}/Export")
        for body in bodies:
            export(body)


class Server:
    """The orchestrator on a core of its own."""

    def __init__(self, folder: Path) -> None:
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.http, self.grpc = (each.getsockname()[1] for each in held)
        for each in held:
            each.close()
        ports = f"port = {self.http}\ngrpc_port = {self.grpc}\n"
        (folder / "pyproject.toml").write_text(f"[tool.homeostasis]\n{SETTINGS}{ports}", encoding="utf-8")
        (folder / "shop.py").write_text(SHOP, encoding="utf-8")
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", str(folder)])
        for port in (self.http, self.grpc):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if self.process.poll() is not None:
                        raise SystemExit("the orchestrator did not start") from None
                    time.sleep(0.05)

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        """Memory that it has now."""
        return (
            int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
            * os.sysconf("SC_PAGE_SIZE")
            / 1e6
        )

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def serve(folder: Path) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    project = Project.load(folder)
    with Ledger.open(project) as ledger:
        Engine(project, load_plugins(project), ledger, lambda _: None).serve(threading.Event())


def measure(protocol: str, signal: str, events: int, batch: int) -> dict[str, float]:
    make, path, service = SIGNALS[signal]
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name))
        try:
            counter = itertools.count(1)

            def bodies(count: int) -> Iterator[bytes]:
                for _ in range(count):
                    first = next(counter) * batch
                    yield make(range(first, first + batch))

            def send(count: int) -> None:
                share = [count // CONNECTIONS] * CONNECTIONS
                target: Callable[..., None] = send_http if protocol == "http" else send_grpc
                where = (server.http, path) if protocol == "http" else (server.grpc, service)
                with ThreadPoolExecutor(CONNECTIONS) as threads:
                    for sent in [threads.submit(target, *where, bodies(part)) for part in share]:
                        sent.result()

            send(max(events // batch // 20, CONNECTIONS))
            cpu, memory, begin = server.cpu(), server.megabytes(), time.perf_counter()
            send(events // batch)
            seconds, spent = time.perf_counter() - begin, server.cpu() - cpu
            sent = events // batch // CONNECTIONS * CONNECTIONS * batch
            return {
                "events": sent,
                "events_per_second": sent / seconds,
                "events_per_cpu_second": sent / spent,
                "megabytes": server.megabytes(),
                "megabytes_grown": server.megabytes() - memory,
            }
        finally:
            server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="crashes for each row")
    parser.add_argument("--batch", type=int, default=100, help="crashes in one message")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = {
        f"{protocol}, {signal}": measure(protocol, signal, arguments.events, arguments.batch)
        for protocol in ("http", "grpc")
        for signal in SIGNALS
    }
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for name, row in found.items():
        print(
            f"{name:24} {row['events_per_second']:8.0f} events/s {row['events_per_cpu_second']:8.0f} events/CPU s "
            f"{row['megabytes']:6.0f} MB ({row['megabytes_grown']:+.0f})"
        )


if __name__ == "__main__":
    main()
