"""A short run of the benchmark: real servers under load, the deployers called as the orchestrator calls them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "hotswap_load.py"


@pytest.fixture(scope="module")
def benchmark():
    if not _SCRIPT.exists():
        pytest.skip("the benchmarks are not part of this distribution")
    spec = importlib.util.spec_from_file_location("hotswap_load", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["hotswap_load"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["hotswap_load"]


@pytest.mark.parametrize("number", range(4), ids=["sync", "gthread", "gevent", "uvicorn"])
def test_no_request_fails_and_no_answer_is_wrong(benchmark, number):
    """Five deployments and five rollbacks in two workers of each server; all workers are swapped each time."""
    server = benchmark.SERVERS[number]
    for module in ("fastapi", "uvicorn") if server.name == "uvicorn" else ("flask", "gunicorn"):
        pytest.importorskip(module)
    if "gevent" in server.name:
        pytest.importorskip("gevent")
    row = benchmark.measure(server, 5)
    assert (row.deployments, row.rollbacks, row.load.failed, row.load.wrong) == (5, 5, 0, 0), row.load
    assert row.load.requests > 0


def test_the_load_sees_what_is_wrong(benchmark, monkeypatch):
    """A patch that answers something else, or crashes, does not pass for clean."""
    monkeypatch.setattr(benchmark, "NEW_BODY", b'    return "neither"\n')
    row = benchmark.measure(benchmark.SERVERS[1], 3)
    assert row.load.failed + row.load.wrong > 0
    assert not row.clean
