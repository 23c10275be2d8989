"""Elasticsearch and OpenSearch are asked as their API wants to be asked; what they hold becomes events, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostasis.config import validate_table
from homeostasis.errors import ConfigError
from homeostasis.testing import MemorySink, run_collectors
from homeostasis_collect_elastic.settings import CollectElasticSettings
from homeostasis_collect_elastic.store import Elastic, _hits, _nanoseconds, elastic_collector
from homeostasis_collect_logs.pulling.collector import AskFailed

CRASH = 'Traceback (most recent call last):\n  File "shop/cart.py", line 3, in price\n    return row["price"]\nKeyError: \'{}\''
EMITTER = """
import logging
import ecs_logging
import shop.cart
handler = logging.StreamHandler()
handler.setFormatter(ecs_logging.StdlibFormatter())
logging.basicConfig(level="INFO", handlers=[handler])
logging.info("before")
try:
    shop.cart.plain()
except Exception:
    logging.exception("it failed", extra={"http.request.method": "GET", "url.path": "/orders/3"})
"""


def now_ms():
    return time.time_ns() // 1_000_000 - 1000


@pytest.fixture
def pulled(place, elastic):
    """Runs the collector until there are so many events, and returns the sink."""

    def run(count, sink=None, **table):
        sink = sink or MemorySink()
        fast = {"url": elastic.url, "interval": 0.05, "delay": 0, "settle": 0.1, "recapture": 0}
        settings = CollectElasticSettings(**{**fast, **table})
        run_collectors([elastic_collector(place, settings)], sink, lambda: len(sink.events) >= count)
        return sink

    return run


def test_documents_of_ecs(place, elastic, pulled):
    """What ecs-logging writes, as an agent indexes it; the request that its fields name comes along."""
    (place.root / "main.py").write_text(EMITTER)
    env = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=place.root, env=env, capture_output=True, text=True, check=True
    )
    for line in done.stderr.splitlines():
        record = {key: value for key, value in json.loads(line).items() if key != "@timestamp"}
        elastic.index(now_ms(), record)
    elastic.index(now_ms(), {"message": CRASH.format("other")}, index="metrics-x")
    sink = pulled(1)
    (event,) = sink.events
    assert (event.raised.type, event.crash_frame.qualname, event.source) == ("KeyError", "Cart.price", "elastic:ecs")
    assert (event.request.method, event.request.path) == ("GET", "/orders/3")
    assert ("elastic:logs-*", 2) in {(name, count) for name, count, _ in sink.heard_of}
    elastic.index(now_ms() + 1000, {"message": CRASH.format("next")})
    assert [event.raised.message for event in pulled(2, sink).events] == ["'price'", "'next'"]


def test_lines_of_one_millisecond(elastic, pulled):
    """Filebeat makes a document of each line; where it stood in the file orders those of one instant."""
    now = now_ms()
    lines = ["ERROR failed", *CRASH.format("one").split("\n"), "INFO next"]
    for number, line in reversed(list(enumerate(lines))):
        for file in ("a.log", "b.log"):
            place = {"log": {"offset": number * 100, "file": {"path": f"/var/log/{file}"}}}
            elastic.index(now, {"message": line.replace("one", file), **place})
    assert [event.raised.message for event in pulled(2).events] == ["'a.log'", "'b.log'"]


def test_pages_and_the_query(elastic, pulled):
    """More documents than a page has, many of one millisecond, and others that the query leaves out."""
    now = now_ms()
    for number in range(30):
        elastic.index(now + number // 8, {"message": CRASH.format(f"k{number}"), "service.name": "shop"})
        elastic.index(now + number // 8, {"message": CRASH.format("other"), "service.name": "other"})
    sink = pulled(30, page=10, query="service.name:shop")
    assert sorted(event.raised.message for event in sink.events) == sorted(f"'k{number}'" for number in range(30))
    assert sink.losses == []


@pytest.mark.parametrize("kind", ["ApiKey", "Bearer"])
def test_who_asks(kind, elastic, pulled, monkeypatch):
    """An API key or another token, out of the environment."""
    monkeypatch.setenv("ELASTIC_KEY", "c2VjcmV0")
    elastic.authorization = f"{kind} c2VjcmV0"
    elastic.index(now_ms(), {"message": CRASH.format("one")})
    assert len(pulled(1, token_env="ELASTIC_KEY", token_type=kind).events) == 1


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        ((429, {"error": {"type": "circuit_breaking_exception"}}), "status 429"),
        ((200, {"timed_out": True, "hits": {"hits": []}}), "some shards gave no answer"),
        ((200, {"timed_out": False, "_shards": {"failed": 1}, "hits": {"hits": []}}), "some shards gave no answer"),
        ((200, {"hits": {}}), "no search result"),
        ((200, []), "no search result"),
        ((200, b"{"), "no JSON"),
    ],
)
def test_an_answer_that_is_none(refusal, says, elastic, place):
    """Also one that is only a part: the cursor must not go past what is missing."""
    elastic.refusal = refusal
    store = Elastic(place, CollectElasticSettings(url=elastic.url))
    with pytest.raises(AskFailed, match=says):
        store.page(0, 1_000_000, 10)
    store.close()


@pytest.mark.parametrize("index", ["", "a b", "a/b", "a?b", "logs-*#"])
def test_an_index_that_can_be_none(index):
    """It would become another address."""
    with pytest.raises(ConfigError, match="index"):
        validate_table(CollectElasticSettings, {"index": index}, "tool.homeostasis.collect-elastic", None)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-01-02T03:04:05Z", 1767323045_000000000),
        ("2026-01-02T03:04:05.123456789Z", 1767323045_123456789),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("2026-01-02T03:04:05+01:00", None),
        ("2026-01-02T03:04:05.\u00b2Z", None),
        ("x", None),
        (5, None),
    ],
)
def test_times(text, nanoseconds):
    """To the nanosecond, where the field has them."""
    assert _nanoseconds(text) == nanoseconds


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just("2026-01-02T03:04:05Z"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["hits", "_source", "fields", "@timestamp", "message", "log", "offset", "_shards", "_id"]), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@given(answer=values | st.lists(values, max_size=3).map(lambda hits: {"hits": {"hits": hits}}))
@settings(max_examples=200, deadline=None)
def test_any_answer(answer):
    """Nothing else than `AskFailed` is raised."""
    store = object.__new__(Elastic)
    store._field = "@timestamp"
    try:
        hits = _hits(answer)
    except AskFailed:
        return
    for hit in hits:
        entry = store._entry(hit)
        assert entry is None or entry.at == 1767323045_000000000
