"""What pytest has listed, remembered from one crash to the next while tree and environment stay the same.

A deployed patch makes a tree that is known already: its candidate ran all those tests. So a service that is healed
again and again lists its tests once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Callable, Mapping, Optional

from homeostasis.builtin import pytest_runs
from homeostasis.builtin.pytest_runs import Collected, Command
from homeostasis.models import Trial

MOST = 16
"""Listings that are kept."""
MOST_TESTS = 100_000
"""Tests of which is kept how long they take, and longest listing."""


class Listings:
    """The listings of this process, and how long its tests took. Can be used by several threads."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, Collected] = OrderedDict()
        self._asking: dict[str, threading.Lock] = {}
        self._seconds: dict[str, float] = {}
        self._guard = threading.Lock()

    def ask(self, base: Trial, command: Command, timeout: float) -> Collected | None:
        """The tests that pytest runs on the base, from memory or by asking it; None if it does not say."""
        key = _key(base, command)
        if key is None:
            return pytest_runs.collect(base, command, timeout)
        return self._once(key, lambda: self._collect(key, base, command, timeout))

    def _once(self, key: str, collect: Callable[[], Optional[Collected]]) -> Collected | None:
        """The listing from memory. Who asks while somebody else collects it waits for that."""
        with self._guard:
            lock = self._asking.setdefault(key, threading.Lock())
        try:
            with lock:
                found = self._found.get(key)
                return collect() if found is None else found
        finally:
            with self._guard:
                self._asking.pop(key, None)

    def _collect(self, key: str, base: Trial, command: Command, timeout: float) -> Collected | None:
        found = pytest_runs.collect(base, command, timeout)
        if found is not None and _key(base, command) == key:
            self._keep(key, found)
        return found

    def confirm(self, trial: Trial, command: Command, collected: Collected) -> None:
        """A trial has run exactly these tests: they are those of its tree."""
        key = _key(trial, command)
        if key is not None:
            self._keep(key, collected)

    def forget(self, base: Trial, command: Command) -> None:
        """What was remembered is not so: pytest is asked again."""
        key = _key(base, command)
        with self._guard:
            self._found.pop(key or "", None)

    def _keep(self, key: str, collected: Collected) -> None:
        if len(collected.tests) > MOST_TESTS:
            return
        with self._guard:
            self._found[key] = collected._replace(remembered=True)
            self._found.move_to_end(key)
            while len(self._found) > MOST:
                self._found.popitem(last=False)

    def took(self, root: Path, seconds: Mapping[str, float]) -> None:
        """Keep how long each test took; it is an estimate for trees that differ, too."""
        with self._guard:
            if len(self._seconds) + len(seconds) > MOST_TESTS:
                self._seconds.clear()
            self._seconds.update((f"{root}\0{test}", taken) for test, taken in seconds.items())

    def seconds_of(self, root: Path, test: str) -> float | None:
        """How long a test took when it ran last; None if it never did."""
        return self._seconds.get(f"{root}\0{test}")


def _key(trial: Trial, command: Command) -> str | None:
    identity = trial.identity()
    return None if identity is None else repr((identity, command.argv, sorted(command.env.items())))
