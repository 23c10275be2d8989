"""A server that answers as Loki does, and refuses what Loki refuses.

Source: the HTTP API of Grafana Loki (`/loki/api/v1/push` and `/loki/api/v1/query_range`), and the messages of its errors.
"""

from __future__ import annotations

import base64
import gzip
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from homeostasis.testing import JsonHandler, LoopbackServer

CART = 'class Cart:\n    def price(self, row):\n        return row["price"]\n\n\ndef plain():\n    Cart().price({})\n'


class LokiServer(LoopbackServer):
    """Streams in memory. `refusal` is a status, headers and body that every query is answered with."""

    authorization = None
    tenant = None
    refusal = None
    categorizes = True

    def __init__(self):
        super().__init__(_Handler)
        self.entries = []
        self.queries = []

    def push(self, labels, at, line, metadata=None):
        self.entries.append((dict(labels), at, line, metadata or {}))


class _Handler(JsonHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/loki/api/v1/push"
        for stream in body["streams"]:
            for at, line, *metadata in stream["values"]:
                self.server.push(stream["stream"], int(at), line, *metadata)
        self.answer(204, b"")

    def do_GET(self):
        server, parts = self.server, urlsplit(self.path)
        if server.authorization is not None and self.headers.get("Authorization") != server.authorization:
            return self.answer(401, b"Unauthorized")
        if server.tenant is not None and self.headers.get("X-Scope-OrgID") != server.tenant:
            return self.answer(401, b"no org id")
        if server.refusal is not None:
            return self.answer(*server.refusal)
        params = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        problem = _problem(parts.path, params)
        if problem:
            return self.answer(400, problem.encode())
        server.queries.append(params)
        answer = json.dumps(self._found(params)).encode()
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        return self.answer(200, gzip.compress(answer) if packed else answer, [("Content-Encoding", "gzip")] * packed)

    def _found(self, params):
        start, end = int(params["start"]), int(params["end"])
        wanted = dict(
            pair.split("=") for pair in params["query"].strip("{}").replace('"', "").split(",") if "~" not in pair
        )
        found = [
            entry for entry in self.server.entries if start <= entry[1] < end and wanted.items() <= entry[0].items()
        ]
        found = sorted(found, key=lambda entry: entry[1])[: int(params["limit"])]
        flagged = self.server.categorizes and self.headers.get("X-Loki-Response-Encoding-Flags") == "categorize-labels"
        streams = {}
        for labels, at, line, metadata in found:
            shown = labels if flagged else {**labels, **metadata}
            value = [str(at), line, *([{"structuredMetadata": metadata}] if flagged else [])]
            streams.setdefault(json.dumps(shown, sort_keys=True), (shown, []))[1].append(value)
        result = [{"stream": labels, "values": values} for labels, values in streams.values()]
        return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}


def _problem(path, params):
    if path != "/loki/api/v1/query_range":
        return "404 page not found"
    if set(params) - {"query", "start", "end", "limit", "direction", "since", "step", "interval"}:
        return "unknown parameter"
    if params.get("direction", "backward") not in ("forward", "backward"):
        return "invalid direction"
    if int(params["end"]) <= int(params["start"]):
        return "end timestamp must not be before or equal to start time"
    if int(params["end"]) - int(params["start"]) > 721 * 3600 * 10**9:
        return "the query time range exceeds the limit"
    if not 0 < int(params["limit"]) <= 5000:
        return "max entries limit per query exceeded, limit > max_entries_limit (5000)"
    if not (params["query"].startswith("{") and params["query"].endswith("}")):
        return "parse error: syntax error"
    return None


@pytest.fixture
def loki():
    """The server, in a thread of its own."""
    with LokiServer() as server:
        yield server


@pytest.fixture
def place(project_factory):
    """A project with the package `shop`."""
    return project_factory({"shop/__init__.py": "", "shop/cart.py": CART}, {"plugins": ["collect-loki"]})


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
