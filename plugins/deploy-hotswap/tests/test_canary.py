"""What the comparison makes of the numbers that workers tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeostasis.config import ObserveTable
from homeostasis.workers import Worker
from homeostasis_deploy_hotswap import canary
from homeostasis_deploy_hotswap.settings import HotswapTable


def numbers(fast=0, slow=0, errors=0):
    """Requests of up to 10 ms and of 1 to 2.5 s, as a worker tells them."""
    buckets = [0] * 15
    buckets[1], buckets[10] = fast, slow
    return [fast + slow, errors, *buckets]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"routes": []},
        {"routes": {"/a": None}},
        {"routes": {"/a": [1, 2, 3]}},
        {"routes": {"/a": [-1, *[0] * 16]}},
        {"routes": {"/a": ["1", *[0] * 16]}},
        {"routes": {"/a": [1 << 60, *[0] * 16]}},
        {"routes": {"/a": [1, 2, *[0] * 15]}},
    ],
)
def test_what_is_no_count_is_none(answer):
    """Such a worker is not compared."""
    assert canary.counts_of(answer) is None


class Fleet:
    """Workers that tell prepared numbers, one answer after the other, and crash never."""

    def __init__(self, **told):
        self.told = told

    def ask(self, worker, request):
        return {"crashes": 0}

    def counts(self, worker):
        answers = self.told[worker.executable]
        return canary.counts_of({"routes": answers.pop(0) if len(answers) > 1 else answers[0]})


@pytest.fixture
def worker(tmp_path):
    """Makes workers that are alive, as far as this process is."""

    def make(name):
        record = tmp_path / name
        record.touch()
        ticks = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return Worker(os.getpid(), name, None, 1, None, None, ticks, record)

    return make


def watch(worker, fleet, **settings):
    table = HotswapTable(canary_seconds=0.01, **settings)
    return canary.watch(worker("first"), [worker("other")], "r", fleet, table, ObserveTable())


def test_only_what_was_answered_meanwhile_counts(worker):
    """The errors of this morning are not the patch's."""
    fleet = Fleet(
        first=[{"/a": numbers(fast=1000, errors=900)}, {"/a": numbers(fast=1200, errors=900)}],
        other=[{"/a": numbers(fast=5000)}, {"/a": numbers(fast=5300), "/b": numbers(fast=7)}],
    )
    seen = watch(worker, fleet)
    assert (seen.requests, seen.others, seen.compared) == (200, 307, True)


def test_a_worker_that_counts_anew_loses_no_request(worker):
    """Its monitoring was set up once more: what it tells then has all been answered meanwhile."""
    fleet = Fleet(
        first=[{"/a": numbers(fast=1000)}, {"/a": numbers(fast=60)}],
        other=[{"/a": numbers()}, {"/a": numbers(fast=70)}],
    )
    seen = watch(worker, fleet)
    assert (seen.requests, seen.others, seen.compared) == (60, 70, True)


def test_a_route_that_is_slow_beside_the_others_is_harm(worker):
    """Its 95th percentile lies beyond the limit, and not by accident."""
    fleet = Fleet(
        first=[{"/a": numbers()}, {"/a": numbers(fast=100, slow=100)}],
        other=[{"/a": numbers()}, {"/a": numbers(fast=300, slow=1)}],
    )
    with pytest.raises(canary.Harm, match=r"/a does worse .* within 2\.35 s, in the other workers 0\.009\d+ s"):
        watch(worker, fleet)


def test_a_worker_that_tells_nothing_is_not_compared(worker):
    """Its monitoring is older: that is no harm, and no success."""
    seen = watch(worker, Fleet(first=[None], other=[{"/a": numbers(fast=9)}]))
    assert (seen.requests, seen.compared) == (0, False)
    assert "too little traffic" in seen.sentence
