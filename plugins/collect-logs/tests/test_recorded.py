"""What real tools wrote of `cause()` of the test project's `cart.py`, with their versions in the files' names.

They are recorded since they are too heavy to be installed for these tests, or need services that run.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostasis.testing.builders import crash
from homeostasis_collect_logs.blocks import crash_of_text
from homeostasis_collect_logs.reports import Notebook, lambda_report, plain_frame

FOLDER = Path(__file__).parent / "recorded"
FORMATS = {
    "aws-lambda-powertools": "json",
    "ddtrace": "datadog",
    "google-cloud-logging": "gcp",
    "ipython": "ipython",
    "lambda": "lambda",
    "newrelic": "newrelic",
}
CAUSED = [path.name for path in sorted(FOLDER.glob("*.log")) if not path.name.startswith("journald")]


@pytest.mark.parametrize("name", CAUSED)
def test_it_is_the_crash_that_the_monitoring_captures(name, place, events_in):
    """Class with its module, message, frames and cause, also where the record has only parts of them."""
    (event,) = events_in((FOLDER / name).read_bytes())
    captured = crash(place, "import shop.cart\nshop.cart.cause()")
    assert event.source == f"log:{FORMATS[name.rsplit('-', 1)[0].rstrip('-.0123456789')]}"
    assert (event.raised.dotted, event.raised.message) == ("shop.cart.CartError", "no total")
    ours, expected = (
        [(f.qualname, f.span.line) for f in found.raised.frames if f.path.endswith("cart.py")] for found in (event, captured)
    )  # fmt: skip
    assert ours == expected
    if event.source != "log:lambda":
        assert [(raised.type, raised.relation) for raised in event.exceptions[1:]] == [("KeyError", "cause")]
        assert [f.qualname for f in event.exceptions[1].frames][-1] == "Cart.price"


@pytest.mark.parametrize("name", ["journald-252-json.log", "journald-252-short.log"])
def test_the_journal(name, events_in):
    """Six entries of one line, one of several lines, and one with an escape sequence, which the journal has as bytes."""
    events = events_in((FOLDER / name).read_bytes())
    assert [event.raised.message for event in events] == ["'one'", "'two'", "'three'"]
    assert events[0].timestamp == pytest.approx(1767323045, abs=1)


LINES = [line for path in FOLDER.glob("ipython*.log") for line in path.read_text(encoding="utf-8").split("\n")]


@given(lines=st.lists(st.sampled_from(LINES) | st.text(max_size=30), max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_order_of_lines(lines):
    """Nothing is raised, and each line becomes a few."""
    notebook = Notebook()
    assert all(len(notebook.told(line)) <= 2 for line in lines)
    assert all(isinstance(plain_frame(line), str) for line in lines)
    crash_of_text("\n".join(lines))


@given(text=st.lists(st.sampled_from(["[ERROR] E: x", "\r", "\n", "Traceback (most recent call last):", "\u00a0 File", "y"]), max_size=12).map("".join))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_report(text):
    """What is no report is left alone."""
    told = lambda_report(text)
    assert told is None or told.startswith("Traceback")
