"""Stage 5, around `homeostasis_validate`: candidates are tried in parallel until the best survivor is known."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Sequence, Tuple

from homeostasis.attempts import attempts, observe_base
from homeostasis.builtin import reproduction
from homeostasis.models import Check, Diagnosis, Incident, Outcome, Patch, State, Verdict
from homeostasis.regression import generate
from homeostasis.replay import NotReplayed
from homeostasis.stages.context import Ended, Interrupted, stage

if TYPE_CHECKING:
    from homeostasis.models import Trial
    from homeostasis.stages.context import Context
    from homeostasis.stages.sandbox import Trials


def validate(
    context: Context, incident: Incident, candidates: Sequence[tuple[Patch, Diagnosis]], trials: Trials
) -> tuple[Patch, Verdict]:
    """The best candidate that was accepted.

    Raises:
        Ended: none was; says what spoke against the best one.
    """
    with stage(context, "validate", incident) as progress:
        tried = _try_in_order(context, incident, [patch for patch, _ in candidates], trials)
        if context.stopping.is_set():
            raise Interrupted("the orchestrator is ending")
        accepted = next((found for found in tried if found.verdict.outcome is Outcome.ACCEPTED), None)
        if accepted is None:
            raise Ended(State.UNFIXABLE, _nothing([found.verdict for found in tried]))
        patch, verdict = accepted
        context.ledger.complete(incident.id, patch)
        context.ledger.choose(incident.id, patch.id)
        progress.found(f"accepted after {len(tried)} of {len(candidates)}", verdict)
    context.move(incident, State.VALIDATED, patch.summary)
    return patch, verdict


class _Tried(NamedTuple):
    """A candidate, with its generated test if it was accepted, and the verdict on it."""

    patch: Patch
    verdict: Verdict


_WithTest = Tuple[Patch, Check]


class _Race:
    """Candidates side by side: one is beaten when a better one has been accepted, or when all are called off."""

    def __init__(self) -> None:
        self._best = float("inf")

    def accepted(self, rank: float) -> None:
        self._best = min(self._best, rank)

    def beaten(self, rank: int) -> bool:
        return self._best < rank

    def call_off(self) -> None:
        self._best = -1


def _try_in_order(context: Context, incident: Incident, patches: Sequence[Patch], trials: Trials) -> list[_Tried]:
    """Verdicts in the order of rank, up to the first accepted one; later candidates are tried meanwhile."""
    race = _Race()
    tried: list[_Tried] = []
    # A candidate that runs beside a better one is mostly wasted: only spare processors are spent on it.
    parallel = context.project.config.validation.parallel or max(1, (os.cpu_count() or 1) // 2)
    with ThreadPoolExecutor(1, "base") as beside, ThreadPoolExecutor(parallel, "validate") as pool:
        beside.submit(_crash_base, context, incident, trials, race)
        futures: list[Future[_Tried | None]] = [
            pool.submit(_try, context, incident, patch, trials, race, rank) for rank, patch in enumerate(patches)
        ]
        try:
            for future in futures:
                found = future.result()
                if found is None:
                    break
                tried.append(found)
                context.ledger.set_verdict(incident.id, found.verdict)
        finally:
            race.call_off()
    return tried


def _try(context: Context, incident: Incident, patch: Patch, trials: Trials, race: _Race, rank: int) -> _Tried | None:
    """One candidate with the verdict on it, or None if it was beaten meanwhile."""
    if race.beaten(rank) or context.stopping.is_set():
        return None
    checks: list[Check] = []
    test: Future[_WithTest] | None = None
    with trials.fresh(patch) as trial, ThreadPoolExecutor(1, "regression") as beside:
        for name in context.plugins.implementing("validate"):
            if race.beaten(rank) or context.stopping.is_set():
                return None
            started = time.perf_counter()
            found = context.plugins.validate(name, trial, trials.base, incident, patch)
            elapsed = time.perf_counter() - started
            for check in found:
                _keep(context, incident, checks, check if check.seconds else _timed(check, elapsed))
            if any(check.outcome is Outcome.REJECTED for check in found):
                # One veto rejects; what the others would say costs time and changes nothing.
                break
            if test is None and context.project.config.validation.regression_test and _reproduced(found):
                test = beside.submit(_write_test, context, incident, trial, trials)
        verdict = Verdict.of(patch.id, tuple(checks), trial.isolation)
        if verdict.outcome is not Outcome.ACCEPTED:
            return _Tried(patch, verdict)
        race.accepted(rank)
        if test is None or race.beaten(rank):
            return _Tried(patch, verdict)
        patch, check = test.result()
        _keep(context, incident, checks, check)
        return _Tried(patch, verdict.model_copy(update={"checks": tuple(checks)}))


def _reproduced(checks: Sequence[Check]) -> bool:
    return any(check.name == reproduction.NAME and check.outcome is Outcome.ACCEPTED for check in checks)


def _write_test(context: Context, incident: Incident, trial: Trial, trials: Trials) -> _WithTest:
    """The candidate with a test of its own, made while the app's own tests run; its check is no part of the outcome."""
    started = time.perf_counter()
    patch, check = generate(trial, trials.base, trials.fresh, incident, context.project)
    return patch, _timed(check, time.perf_counter() - started)


def _keep(context: Context, incident: Incident, checks: list[Check], check: Check) -> None:
    checks.append(check)
    context.tell("note", incident, "validate", f"{check.name}: {check.detail}", check)


def _timed(check: Check, seconds: float) -> Check:
    return check.model_copy(update={"seconds": seconds})


def _crash_base(context: Context, incident: Incident, trials: Trials, race: _Race) -> None:
    """Reproduce the crash on the base while the first candidate is being tried; the validators find it in memory."""
    if reproduction.NAME not in context.plugins.implementing("validate") or race.beaten(0):
        return
    first = next(attempts(incident, context.project), None)
    if first is not None:
        with suppress(NotReplayed):
            observe_base(first, trials.base, incident)


def _nothing(verdicts: Sequence[Verdict]) -> str:
    best = verdicts[0] if verdicts else None
    if best is None:
        return "no candidate could be tried"
    count = f"none of {len(verdicts)} candidates" if len(verdicts) > 1 else "the only candidate was not"
    return f"{count} accepted; {best.outcome.value}: {best.reason}"
