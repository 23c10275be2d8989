"""Watches the first worker that got a patch, beside the others that have not got it yet."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping, Protocol

from homeostasis.comparison import RouteTraffic, worse
from homeostasis.errors import DeployError
from homeostasis.monitoring.traffic import BOUNDARIES
from homeostasis_deploy_hotswap import health

if TYPE_CHECKING:
    from homeostasis.config import ObserveTable
    from homeostasis.workers import Worker
    from homeostasis_deploy_hotswap.settings import HotswapTable

CRASHES_EVERY = 0.25
"""Seconds between two questions to the first worker whether the patched code crashed."""
COMPARE_EVERY = 1.0
"""Seconds between two comparisons of what the workers have answered, and between two looks at the health address."""
_NUMBERS = len(BOUNDARIES) + 3  # requests, errors, and the buckets, of which one lies above the last boundary


class TakenBack(DeployError):
    """The first worker is not to be followed."""


class Harm(TakenBack):
    """The first worker did worse with the patch."""


class Undecided(TakenBack):
    """Too little is known about the first worker, and the settings ask for more."""


@dataclass(frozen=True)
class Seen:
    """What a watch has shown.

    Attributes:
        worker: process id of the first one.
        requests: that it answered meanwhile.
        others: requests that all others together answered meanwhile.
        compared: whether both are enough for the comparison to say something.
        sentence: the same for people.
    """

    worker: int
    requests: int
    others: int
    compared: bool
    sentence: str


def counts_of(answer: Mapping[str, Any]) -> dict[str, RouteTraffic] | None:
    """The answer to the request `traffic`, by route; None if it is none."""
    routes = answer.get("routes")
    if not isinstance(routes, dict):
        return None
    found = {}
    for route, numbers in routes.items():
        if not isinstance(numbers, list) or len(numbers) != _NUMBERS:
            return None
        if not all(isinstance(number, int) and 0 <= number < 1 << 48 for number in numbers) or numbers[1] > numbers[0]:
            return None
        found[str(route)] = RouteTraffic(numbers[0], numbers[1], 0.0, tuple(numbers[2:]))
    return found


class Fleet(Protocol):
    """How the workers are reached."""

    def ask(self, worker: Worker, request: dict[str, Any]) -> dict[str, Any] | None:
        """The worker's answer; None if it has ended."""

    def counts(self, worker: Worker) -> Mapping[str, RouteTraffic] | None:
        """What a worker has answered since it began, by route; None if it does not tell."""


class _Traffic:
    """What some workers have answered since this was made. Who tells no more counts with what it told last."""

    def __init__(self, workers: list[Worker], fleet: Fleet) -> None:
        self._fleet = fleet
        found = {worker: fleet.counts(worker) for worker in workers}
        self._first = {worker: routes for worker, routes in found.items() if routes is not None}
        self._last = dict(self._first)
        self._silent: set[Worker] = set()

    def look(self) -> dict[str, RouteTraffic]:
        """By route, all workers together."""
        total: dict[str, RouteTraffic] = {}
        for worker, first in self._first.items():
            self._ask(worker)
            for route, now in self._last[worker].items():
                before = first.get(route, _NOTHING)
                begun_anew = now.requests < before.requests  # its monitoring was set up once more
                total[route] = _added(total.get(route, _NOTHING), now, _NOTHING if begun_anew else before)
        return total

    def _ask(self, worker: Worker) -> None:
        routes = self._fleet.counts(worker) if worker.alive and worker not in self._silent else None
        if routes is None:
            self._silent.add(worker)
        else:
            self._last[worker] = routes


_NOTHING = RouteTraffic(0, 0, 0.0, (0,) * (len(BOUNDARIES) + 1))


def _added(total: RouteTraffic, now: RouteTraffic, first: RouteTraffic) -> RouteTraffic:
    buckets = tuple(a + b - c for a, b, c in zip(total.buckets, now.buckets, first.buckets))
    return RouteTraffic(
        total.requests + now.requests - first.requests, total.errors + now.errors - first.errors, 0.0, buckets
    )


class _Comparison:
    """The first worker beside the others, at the same time."""

    def __init__(self, worker: Worker, others: list[Worker], fleet: Fleet, settings: HotswapTable) -> None:
        self._worker, self._settings = worker, settings
        self._mine, self._theirs = _Traffic([worker], fleet), _Traffic(others, fleet)
        self._has_others = bool(others)
        self.requests = self.others = 0

    @property
    def says_something(self) -> bool:
        """Whether both sides have answered enough."""
        return min(self.requests, self.others) >= self._settings.canary_requests

    def look(self, chance: float, max_slowdown: float) -> None:
        """Compare each route.

        Raises:
            Harm: the first worker does worse on one.
        """
        mine, theirs = self._mine.look(), self._theirs.look()
        self.requests = sum(route.requests for route in mine.values())
        self.others = sum(route.requests for route in theirs.values())
        both = [route for route in mine if mine[route].requests and theirs.get(route, _NOTHING).requests]
        for route in both:
            found = worse(theirs[route], mine[route], chance / len(both), max_slowdown, "in the other workers")
            if found is not None:
                raise Harm(f"{route} does worse in worker {self._worker.pid}, the first with the patch: {found}")

    def seen(self) -> Seen:
        """What there is to tell after the last look."""
        pid, mine, theirs = self._worker.pid, self.requests, self.others
        if self.says_something:
            told = f"worker {pid}, the first, did no worse over {mine} requests than the others over {theirs}"
        elif self._has_others:
            told = (
                f"too little traffic to compare worker {pid}, the first, with the others ({mine} and {theirs} requests "
                f"of {self._settings.canary_requests}): it was watched for crashes only"
            )
        else:
            told = f"worker {pid} has no others to be compared with: it was watched for crashes only"
        return Seen(pid, mine, theirs, self.says_something, told)


def watch(
    worker: Worker, others: list[Worker], release: str, fleet: Fleet, settings: HotswapTable, observe: ObserveTable
) -> Seen | None:
    """Look for harm in the first worker for `canary_seconds`, and until enough was answered to compare it.

    Args:
        worker: has the release already.
        others: have not.
        release: its name.
        fleet: reaches the workers.
        settings: how long, how much traffic, and the health address.
        observe: what counts as worse, as after the release. The more looks there are, the stricter each of them is.

    Returns:
        None if the worker took its leave meanwhile, as after `max_requests`: then another one must be the canary.

    Raises:
        Harm: a function that the release changed crashed, the worker died, the health address answers badly, or a route
            fails more or has become slow beside the other workers.
        Undecided: too little was answered, and `canary_undecided` does not go on then.
    """
    longest = max(settings.canary_seconds, settings.canary_longest)
    chance = observe.significance / (math.ceil(longest / COMPARE_EVERY) + 1)
    comparison = _Comparison(worker, others, fleet, settings)
    begun, look_at = time.monotonic(), min(COMPARE_EVERY, settings.canary_seconds)
    while True:
        if not _works(worker, release, fleet):
            return None
        waited = time.monotonic() - begun
        if waited >= look_at:
            _ask_health(worker, settings)
            comparison.look(chance, observe.max_slowdown)
            if waited >= (settings.canary_seconds if comparison.says_something else longest):
                break
            look_at = min(
                waited + COMPARE_EVERY, settings.canary_seconds if waited < settings.canary_seconds else longest
            )
        time.sleep(max(0.0, min(CRASHES_EVERY, look_at - waited)))
    seen = comparison.seen()
    if not seen.compared and settings.canary_undecided == "take-back":
        raise Undecided(seen.sentence)
    return seen


def _works(worker: Worker, release: str, fleet: Fleet) -> bool:
    """Whether the worker is there; False if it has ended in peace."""
    answer = fleet.ask(worker, {"do": "crashes", "release": release})
    if answer is None:
        if worker.record.exists():  # who leaves in peace removes it
            raise Harm(f"worker {worker.pid}, the first with the patch, died of something")
        return False
    if answer.get("crashes"):
        raise Harm(f"the patched code crashed in worker {worker.pid}, the first with the patch: {answer.get('last')}")
    return True


def _ask_health(worker: Worker, settings: HotswapTable) -> None:
    problem = None if settings.health_url is None else health.problem(settings.health_url, settings.answer_timeout)
    if problem is not None:
        raise Harm(f"{settings.health_url} {problem} while worker {worker.pid} is the first with the patch")
