"""A server that answers as Elasticsearch and OpenSearch do, and refuses what they refuse.

Source: the search API of Elasticsearch 7 to 9 and of OpenSearch: `range` with a format, `query_string`, `sort`,
`docvalue_fields` with a format, `size` up to `index.max_result_window`.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from homeostasis.testing import JsonHandler, LoopbackServer

CART = 'class Cart:\n    def price(self, row):\n        return row["price"]\n\n\ndef plain():\n    Cart().price({})\n'
TIME = "@timestamp"
NANOS = "strict_date_optional_time_nanos"


class ElasticServer(LoopbackServer):
    """Documents in memory, in the order in which they were indexed. `refusal` answers every search."""

    authorization = None
    refusal = None

    def __init__(self):
        super().__init__(_Handler)
        self.documents = []

    def index(self, at_ms, source, index="logs-shop-default"):
        """Index a document with a time in milliseconds."""
        self.documents.append((index, f"id{len(self.documents)}", at_ms, {TIME: _shown(at_ms), **source}))


def _shown(at_ms):
    from datetime import datetime, timezone

    return datetime.fromtimestamp(at_ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ms % 1000:03d}Z"


class _Handler(JsonHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server, parts = self.server, urlsplit(self.path)
        if server.authorization is not None and self.headers.get("Authorization") != server.authorization:
            return self.answer(401, {"error": {"type": "security_exception"}, "status": 401})
        if server.refusal is not None:
            return self.answer(*server.refusal)
        index, _, verb = unquote(parts.path).strip("/").rpartition("/")
        problem = _problem(verb, dict(parse_qsl(parts.query, strict_parsing=True)), self.headers, json.loads(body))
        if problem:
            return self.answer(400, {"error": {"type": "parsing_exception", "reason": problem}, "status": 400})
        return self.answer(200, _found(server.documents, index, json.loads(body)))


def _problem(verb, params, headers, body):
    if verb != "_search":
        return f"no handler found for {verb}"
    if set(params) - {"ignore_unavailable", "allow_no_indices", "expand_wildcards", "preference"}:
        return "request contains unrecognized parameter"
    if headers["Content-Type"] != "application/json":
        return "Content-Type header is not supported"
    if set(body) - {"size", "query", "sort", "docvalue_fields", "track_total_hits", "_source", "search_after", "pit"}:
        return "unknown key in the request"
    if not 0 <= body["size"] <= 10_000:
        return "Result window is too large"
    if set(body["query"]) != {"bool"} or set(body["query"]["bool"]) - {"filter", "must", "should", "must_not"}:
        return "unknown query"
    for clause in body["query"]["bool"]["filter"]:
        ((kind, value),) = clause.items()
        if kind == "range":
            ((field, limits),) = value.items()
            if (
                set(limits) - {"gt", "gte", "lt", "lte", "format", "time_zone", "boost"}
                or limits["format"] != "epoch_millis"
            ):
                return f"[range] query does not support this on {field}"
        elif kind != "query_string" or set(value) - {"query", "default_field", "fields"}:
            return f"unknown query [{kind}]"
    if any(
        set(order) - {"order", "missing", "numeric_type", "unmapped_type"}
        for each in body["sort"]
        for order in each.values()
    ):
        return "[field_sort] unknown field"
    return None


def _found(documents, pattern, body):
    clauses = {kind: value for clause in body["query"]["bool"]["filter"] for kind, value in clause.items()}
    limits, query = clauses["range"][TIME], clauses["query_string"]["query"]
    found = [
        document for document in documents
        if limits["gte"] <= document[2] < limits["lt"]
        and any(_matches(document[0], each) for each in pattern.split(","))
        and (query == "*" or query.split(":")[1] == document[3].get("service.name"))
    ]  # fmt: skip
    assert [list(each) for each in body["sort"]] == [[TIME], ["_doc"]]
    found = sorted(found, key=lambda document: document[2])[: body["size"]]
    assert body["docvalue_fields"] == [{"field": TIME, "format": NANOS}]
    hits = [
        {
            "_index": index,
            "_id": name,
            "_score": None,
            "_source": source,
            "fields": {TIME: [_shown(at)]},
            "sort": [at, 1],
        }
        for index, name, at, source in found
    ]
    return {"took": 1, "timed_out": False, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}, "hits": {"max_score": None, "hits": hits}}  # fmt: skip


def _matches(index, pattern):
    return index.startswith(pattern[:-1]) if pattern.endswith("*") else index == pattern


@pytest.fixture
def elastic():
    """The server, in a thread of its own."""
    with ElasticServer() as server:
        yield server


@pytest.fixture
def place(project_factory):
    """A project with the package `shop`."""
    return project_factory({"shop/__init__.py": "", "shop/cart.py": CART}, {"plugins": ["collect-elastic"]})
