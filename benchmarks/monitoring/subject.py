"""One process of `monitoring_cost.py`: an app under one kind of monitoring, answering requests when it is told to.

    python subject.py FRAMEWORK MONITORING

Runs in a directory that holds `pyproject.toml` and `shop.py`. Each line of its input is `APPS KIND FIRST COUNT`; it
answers with the processor time per request in nanoseconds, of all threads of the process. APPS is `monitored`, `bare`
for a twin of it in the same process, or `monitored+bare`: comparing those two is not blurred by where things happen to
lie in memory. sentry-sdk changes the framework itself, so its process has no twin.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List

Answer = Callable[[str], None]

WARM, TURN = 20, 20
"""Requests before those that are measured, and at a time."""
PUT_OFF_SECONDS = 0.12
"""Longest that monitoring puts off work which a captured crash causes; waited for, so that it is counted."""
PATHS = {"healthy": "/orders/{number}", "first": "/crash/{number}", "repeated": "/crash/0"}


def flask_app(name: str) -> Any:
    """The app: one healthy route, one that crashes in a different function for each number."""
    import shop
    from flask import Flask

    app = Flask(name)

    @app.get("/orders/<int:number>")
    def order(number: int) -> Any:
        return {"number": number, "total": 12.5}

    @app.get("/crash/<int:number>")
    def crash(number: int) -> Any:
        return shop.checkout(number)

    return app


def fastapi_app(name: str) -> Any:
    """The same app for FastAPI."""
    import shop
    from fastapi import FastAPI

    app = FastAPI(title=name)

    @app.get("/orders/{number}")
    async def order(number: int) -> Any:
        return {"number": number, "total": 12.5}

    @app.get("/crash/{number}")
    async def crash(number: int) -> Any:
        return shop.checkout(number)

    return app


def flask_client(app: Any) -> Answer:
    """Sends requests through Flask's test client."""
    client = app.test_client()
    return lambda path: client.get(path).close()


def fastapi_client(app: Any) -> Answer:
    """Sends requests as a server does, without one."""
    loop = asyncio.new_event_loop()
    headers = [(b"host", b"localhost"), (b"user-agent", b"benchmark/1"), (b"accept", b"*/*")]

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    async def answer(path: str) -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
        }
        with suppress(LookupError):  # starlette answers 500 and passes it on to the server
            await app(scope, receive, send)

    return lambda path: loop.run_until_complete(answer(path))


def with_homeostasis(app: Any, _framework: str) -> None:
    """Monitoring as in production, into a spool; only the cap on captures per second is lifted, to measure them."""
    from homeostasis.monitoring import setup_monitoring

    setup_monitoring(app, config={"max_captures_per_second": 10**9})


def with_opentelemetry(app: Any, framework: str) -> None:
    """The instrumentation of the framework, every request traced, spans exported in batches to nowhere."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> Any:  # noqa: ARG002 - as OpenTelemetry calls it
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    if framework == "flask":
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument_app(app)
    else:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app)


def start_sentry() -> None:
    """sentry-sdk with its defaults (errors, no tracing), and a transport that throws away what it is given."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Nowhere(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            pass

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Nowhere)


def build(framework: str, monitoring: str) -> Dict[str, Answer]:
    """The apps of this process, by name, as functions that answer one request."""
    make, connect = {"flask": (flask_app, flask_client), "fastapi": (fastapi_app, fastapi_client)}[framework]
    if monitoring == "sentry-sdk":
        start_sentry()
        return {"monitored": connect(make("monitored"))}
    answers = {"bare": connect(make("bare"))}
    if monitoring != "bare":
        app = make("monitored")
        {"homeostasis": with_homeostasis, "opentelemetry": with_opentelemetry}[monitoring](app, framework)
        answers["monitored"] = connect(app)
    return answers


def main() -> None:
    """Answer commands until the input ends."""
    sys.path.insert(0, ".")
    answers = build(*sys.argv[1:])
    print("ready", flush=True)
    for line in sys.stdin:
        names, kind, first, count = line.split()
        numbers = range(int(first), int(first) + int(count))
        put_off = PUT_OFF_SECONDS if kind == "first" else 0.0
        spent = measure([answers[name] for name in names.split("+")], PATHS[kind], numbers, put_off)
        print(*spent, flush=True)


def measure(answers: List[Answer], path: str, numbers: range, put_off: float) -> List[float]:
    """Nanoseconds per request of each app, a few requests at a time in turn: what disturbs one disturbs all.

    Before the clock is read, the process sleeps for as long as its work may be put off, in seconds.
    """
    spent = [0] * len(answers)
    for answer in answers:
        for _ in range(WARM):  # other processes ran meanwhile
            answer("/orders/1")
    for start in range(0, len(numbers), TURN):
        paths = [path.format(number=number) for number in numbers[start : start + TURN]]
        order = range(len(answers)) if start // TURN % 2 else range(len(answers) - 1, -1, -1)
        for index in order:
            answer, started = answers[index], time.process_time_ns()
            for each in paths:
                answer(each)
            time.sleep(put_off)
            spent[index] += time.process_time_ns() - started
    return [each / len(numbers) for each in spent]


if __name__ == "__main__":
    main()
