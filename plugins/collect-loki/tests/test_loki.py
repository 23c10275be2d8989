"""Loki is asked as its API wants to be asked; what it holds becomes events, once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostasis.testing import MemorySink, run_collectors
from homeostasis_collect_logs.pulling.collector import AskFailed, TooLarge
from homeostasis_collect_loki.settings import CollectLokiSettings
from homeostasis_collect_loki.store import Loki, _entries, loki_collector

from .conftest import basic

CRASH = 'Traceback (most recent call last):\n  File "shop/cart.py", line 3, in price\n    return row["price"]\nKeyError: \'{}\''
EMITTER = """
import logging, sys
import logging_loki
import shop.cart
handler = logging_loki.LokiHandler(url=sys.argv[1] + "/loki/api/v1/push", tags={"app": "shop"}, version="1")
log = logging.getLogger("shop")
log.setLevel("INFO")
log.addHandler(handler)
log.info("before")
try:
    shop.cart.plain()
except Exception:
    log.exception("it failed")
"""


@pytest.fixture
def pulled(place, loki):
    """Runs the collector until there are so many events, and returns the sink."""

    def run(count, sink=None, **table):
        sink = sink or MemorySink()
        fast = {"url": loki.url, "interval": 0.05, "delay": 0, "settle": 0.1, "recapture": 0, "query": '{app="shop"}'}
        settings = CollectLokiSettings(**{**fast, **table})
        run_collectors([loki_collector(place, settings)], sink, lambda: len(sink.events) >= count)
        return sink

    return run


def test_what_a_real_handler_pushed(place, loki, pulled):
    """python-logging-loki in an app; another app's streams are not asked for."""
    loki.push({"app": "other"}, time.time_ns(), CRASH.format("other"))
    (place.root / "main.py").write_text(EMITTER)
    env = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run([sys.executable, "-W", "ignore", "main.py", loki.url], cwd=place.root, env=env, capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    sink = pulled(1)
    (event,) = sink.events
    assert (event.raised.type, event.crash_frame.qualname, event.source) == ("KeyError", "Cart.price", "loki:text")
    assert ('loki:{app="shop"}', 2) in {(name, count) for name, count, _ in sink.heard_of}
    loki.push({"app": "shop"}, time.time_ns(), CRASH.format("next"))
    assert [event.raised.message for event in pulled(2, sink).events] == ["'price'", "'next'"]


@pytest.mark.parametrize("categorizes", [True, False])
def test_lines_whose_metadata_differ_are_of_one_writer(categorizes, loki, pulled):
    """Loki adds the level that it detects to each line; older versions mix it with the labels."""
    loki.categorizes = categorizes
    now = time.time_ns() - 10**9
    for number, line in enumerate(["ERROR failed", *CRASH.format("one").split("\n"), "INFO next"]):
        for pod in ("a", "b"):
            level = {"detected_level": "error" if number == 0 else "unknown"}
            loki.push({"app": "shop", "pod": pod}, now + number, line.replace("one", pod), level)
    events = pulled(2).events
    assert [event.raised.message for event in events] == ["'a'", "'b'"]


def test_pages(loki, pulled):
    """More entries than a page has, some at one instant."""
    now = time.time_ns() - 10**9
    for number in range(30):
        loki.push({"app": "shop"}, now + number // 4, CRASH.format(f"k{number}"))
    sink = pulled(30, page=5)
    assert sorted(event.raised.message for event in sink.events) == sorted(f"'k{number}'" for number in range(30))
    assert sink.losses == []


@pytest.mark.parametrize("way", ["token", "basic", "tenant"])
def test_who_asks(way, loki, pulled, monkeypatch):
    """A token, a user's password, and the tenant; the secrets are read from the environment."""
    monkeypatch.setenv("LOKI_SECRET", "s3cret")
    if way == "tenant":
        loki.tenant = "shop"
        table = {"tenant": "shop"}
    else:
        loki.authorization = "Bearer s3cret" if way == "token" else basic("me", "s3cret")
        table = {"token_env": "LOKI_SECRET"} if way == "token" else {"user": "me", "password_env": "LOKI_SECRET"}
    loki.push({"app": "shop"}, time.time_ns() - 10**9, CRASH.format("one"))
    assert len(pulled(1, **table).events) == 1


BUSY = {"status": "success", "data": {"resultType": "matrix", "result": []}}


@pytest.mark.parametrize(
    ("refusal", "says", "wait"),
    [
        ((429, b"too many outstanding requests", [("Retry-After", "7")]), "status 429: too many outstanding", 7.0),
        ((503, b"", [("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")]), "status 503", None),
        ((503, b"", [("Retry-After", "inf")]), "status 503", None),
        ((302, b"", [("Location", "http://127.0.0.1:1/")]), "status 302", None),
        ((200, BUSY), "is the query one for lines", None),
        ((200, b"["), "no JSON", None),
        ((200, b"[" * 100_000), "no JSON", None),
        ((200, b"null"), "no log lines", None),
    ],
)
def test_an_answer_that_is_none(refusal, says, wait, loki, place):
    """It says why, and when to ask again."""
    loki.refusal = refusal
    store = Loki(place, CollectLokiSettings(url=loki.url))
    with pytest.raises(AskFailed, match=says) as caught:
        store.page(0, 1, 10)
    assert caught.value.wait == wait
    store.close()


def test_an_answer_that_is_too_large(loki, place):
    """A compressed one counts as what it unpacks to."""
    loki.push({"app": "shop"}, 5, "x" * 1_000_000)
    store = Loki(place, CollectLokiSettings(url=loki.url, max_response_bytes=100_000))
    with pytest.raises(TooLarge):
        store.page(0, 10, 10)
    store.close()


def test_a_server_that_is_not_there(place):
    """That is told, not raised through."""
    store = Loki(place, CollectLokiSettings(url="http://127.0.0.1:1"))
    with pytest.raises(AskFailed, match="Connect"):
        store.page(0, 1, 10)
    store.close()


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["1", "99999999999999999999", "\u00b2"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["data", "resultType", "result", "stream", "values"]), inner, max_size=4),
    max_leaves=20,
)


@given(answer=values | values.map(lambda value: {"data": {"resultType": "streams", "result": [{"stream": {"a": 1}, "values": [value, ["1", value]]}]}}))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_answer(answer):
    """Nothing else than `AskFailed` is raised."""
    with contextlib.suppress(AskFailed):
        assert all(isinstance(entry.content, str) for entry in _entries(answer))
