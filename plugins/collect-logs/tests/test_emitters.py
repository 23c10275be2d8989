"""What real logging libraries write of a crash becomes the event that the monitoring captures, less what is not there."""

from __future__ import annotations

import json

import pytest

from homeostasis.testing.builders import crash

HEAD = "import logging, sys\nimport shop.cart\nwork = getattr(shop.cart, sys.argv[1])\ndef log():\n    return logging.getLogger('shop')\n"
TAIL = """
log().info("before")
try:
    work()
except Exception:
    log().exception("it failed")
log().info("after")
"""
STDLIB = "logging.basicConfig(level='INFO', format={!r})\n"
JSON_HANDLER = "handler = logging.StreamHandler()\nhandler.setFormatter({})\nlogging.basicConfig(level='INFO', handlers=[handler])\n"
CRASH = 'Traceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: 1\n'

EMITTERS = {
    "default": ("text", STDLIB.format("%(levelname)s:%(name)s:%(message)s")),
    "time first": ("text", STDLIB.format("%(asctime)s [%(process)d] %(levelname)s %(name)s: %(message)s")),
    "name first": ("text", STDLIB.format("%(name)s - %(levelname)s - %(message)s")),
    "structlog text": (
        "text",
        "import structlog\nstructlog.configure(processors=[structlog.processors.TimeStamper(fmt='iso'), structlog.processors.add_log_level,"
        "structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)],"
        "logger_factory=structlog.PrintLoggerFactory(sys.stderr))\nlog = structlog.get_logger\n",
    ),
    "structlog json": (
        "structlog",
        "import structlog\nstructlog.configure(processors=[structlog.processors.TimeStamper(fmt='iso'),"
        "structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],"
        "logger_factory=structlog.PrintLoggerFactory(sys.stderr))\nlog = structlog.get_logger\n",
    ),
    "structlog dicts": (
        "structlog",
        "import structlog\nstructlog.configure(processors=[structlog.processors.TimeStamper(fmt='iso'),"
        "structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()],"
        "logger_factory=structlog.PrintLoggerFactory(sys.stderr))\nlog = structlog.get_logger\n",
    ),
    "loguru": ("text", "from loguru import logger\nlog = lambda: logger\n"),
    "loguru colours": (
        "text",
        "from loguru import logger\nlogger.remove()\nlogger.add(sys.stderr, colorize=True, diagnose=False)\nlog = lambda: logger\n",
    ),
    "loguru json": (
        "loguru",
        "from loguru import logger\nlogger.remove()\nlogger.add(sys.stderr, serialize=True)\nlog = lambda: logger\n",
    ),
    "python-json-logger": (
        "python-json-logger",
        "from pythonjsonlogger.json import JsonFormatter\n" + JSON_HANDLER.format("JsonFormatter('%(asctime)s %(message)s', timestamp=True)"),
    ),
    "ecs": ("ecs", "import ecs_logging\n" + JSON_HANDLER.format("ecs_logging.StdlibFormatter()")),
    "gelf": (
        "gelf",
        "import graypy\nclass Handler(graypy.handler.BaseGELFHandler, logging.StreamHandler):\n"
        "    def __init__(self):\n        graypy.handler.BaseGELFHandler.__init__(self, compress=False)\n        logging.StreamHandler.__init__(self)\n"
        "    def emit(self, record):\n        sys.stderr.write(self.makePickle(record).decode() + '\\n')\n"
        "logging.basicConfig(level='INFO', handlers=[Handler()])\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("work", ["plain", "cause", "context"])
@pytest.mark.parametrize("name", EMITTERS)
def test_it_is_the_crash_that_the_monitoring_captures(name, work, place, run_app, events_in):
    """Type, message, frames and fingerprint are the same; what the format cannot say is named."""
    source, setup = EMITTERS[name]
    (event,) = events_in(run_app(HEAD + setup + TAIL, work))
    code = f"import shop.cart\nshop.cart.{work}()"
    captured = crash(place, code)
    assert event.source == f"log:{source}"
    assert event.raised.dotted == captured.raised.dotted
    assert event.raised.message == captured.raised.message
    ours = [frame for frame in event.raised.frames if frame.path.endswith("cart.py")]
    expected = [frame for frame in captured.raised.frames if frame.path.endswith("cart.py")]
    assert [(f.qualname, f.span.line, f.in_app) for f in ours] == [
        (f.qualname, f.span.line, f.in_app) for f in expected
    ]
    assert event.losses
    relations = [] if name == "ecs" else [raised.relation for raised in captured.exceptions[1:]]
    assert [raised.relation for raised in event.exceptions[1:]] == relations


@pytest.mark.parametrize("name", [name for name in EMITTERS if name != "ecs"])
def test_the_fingerprint_is_the_monitorings(name, place, run_app, events_in):
    """The monitoring in the same script and its log give one fingerprint, also for a crash with a cause."""
    monitored = (
        "import json\nfrom homeostasis.monitoring.capture import describe\n"
        "try:\n    work()\nexcept Exception as error:\n"
        f"    open('event.json', 'w').write(json.dumps(describe(error, project_root={str(place.root)!r}, service='app'), default=str))\n"
    )
    text = run_app(HEAD + monitored + EMITTERS[name][1] + TAIL, "cause")
    captured = json.loads((place.root / "event.json").read_text())
    (event,) = events_in(text)
    assert event.fingerprint == captured["fingerprint"]


def test_a_crashed_script_and_thread_and_task(run_app, events_in):
    """What the interpreter itself prints: uncaught, in a thread, in a task that nobody awaited."""
    code = """
import asyncio, gc, threading
import shop.cart
thread = threading.Thread(target=shop.cart.plain, name="worker one")
thread.start()
thread.join()
async def main():
    task = asyncio.ensure_future(work())
    await asyncio.sleep(0.01)
    del task
    gc.collect()
async def work():
    shop.cart.cause()
asyncio.run(main())
shop.cart.context()
"""
    events = events_in(run_app(code))
    assert [event.raised.type for event in events] == ["KeyError", "CartError", "CartError"]
    assert events[0].runtime.thread == "worker one"
    assert events[2].raised.message == "two\nlines"
    assert events[2].command.argv == ("python", "main.py")


def test_times_and_identifiers_are_the_records(events_in):
    """The event happened when the record says, in the trace that it names."""
    trace = {"message": CRASH, "timestamp": "2026-01-02T03:04:05.500Z", "severity": "ERROR"}
    (event,) = events_in(json.dumps({**trace, "trace_id": "abc", "span.id": "def"}) + "\n")
    assert (event.timestamp, event.trace_id, event.span_id) == (1767323045.5, "abc", "def")
