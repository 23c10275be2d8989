"""Swaps function bodies in all live workers: one first, then the rest; all of them or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

from homeostasis.errors import DeployError
from homeostasis.monitoring import standing
from homeostasis.monitoring.channel import ChannelError
from homeostasis.workers import Worker, live_workers
from homeostasis_deploy_hotswap.canary import Harm, Seen, TakenBack, counts_of, watch
from homeostasis_deploy_hotswap.disk import holds_patch, restore
from homeostasis_deploy_hotswap.reload import reload
from homeostasis_deploy_hotswap.workers import ask, check_key, files_of

if TYPE_CHECKING:
    from homeostasis.comparison import RouteTraffic
    from homeostasis.hookspecs import Journal
    from homeostasis.models import Patch, Step
    from homeostasis.project import Project
    from homeostasis_deploy_hotswap.settings import HotswapTable

_MOST_ROUNDS = 5


class _Refusal(Exception):
    """A worker cannot be swapped, or does not answer."""

    def __init__(self, worker: Worker, reason: str) -> None:
        super().__init__(f"worker {worker.pid}: {reason}")
        self.worker = worker


@dataclass
class _Fleet:
    """The workers of a project during one deployment or undo."""

    project: Project
    settings: HotswapTable

    def ask(self, worker: Worker, request: dict[str, Any]) -> dict[str, Any] | None:
        """The worker's answer; None if it has ended meanwhile, which is no obstacle.

        Raises:
            _Refusal: it says no, or lives and does not answer.
        """
        try:
            answer = ask(worker, self.project, request, self.settings.answer_timeout)
        except ChannelError as error:
            if not worker.alive:
                return None
            raise _Refusal(worker, str(error)) from error
        if answer.get("ok") is not True:
            raise _Refusal(worker, str(answer.get("refused", "it gives no reason")))
        return answer

    def counts(self, worker: Worker) -> Mapping[str, RouteTraffic] | None:
        """What a worker has answered since it began, by route; None if it does not tell, as an older monitoring."""
        try:
            return counts_of(self.ask(worker, {"do": "traffic"}) or {})
        except _Refusal:
            return None


def deploy(patch: Patch, project: Project, settings: HotswapTable, journal: Journal) -> str:
    """Swap in all live workers, or reload if that is not enough.

    Facts: `method` (`hotswap`, `reload`, `restart`, or `none` if no worker lives), `workers` (process ids), and
    `canary`, what watching the first one has shown, if it was watched.

    Raises:
        DeployError: the patch cannot be made live this way; nothing is left swapped.
    """
    check_key(project)
    on_disk = holds_patch(patch, project)
    release = f"{patch.id}:{patch.digest[:16]}"
    workers = live_workers(project)
    if not workers and not on_disk:
        raise DeployError(
            "no worker runs and the files do not hold the patch: start the app, or put working-tree before hotswap"
        )
    if not on_disk:
        _refuse_new_files(patch)
    journal.intend({"release": release, "on_disk": on_disk, "workers": [worker.pid for worker in workers]})
    if not workers:
        _facts(journal, "none", [])
        return "no worker is running; the next start uses the patched files"
    fleet = _Fleet(project, settings)
    try:
        swapped, seen = _swap_all(fleet, release, patch)
    except (_Refusal, TakenBack) as refusal:
        if isinstance(refusal, TakenBack):
            raise DeployError(f"{refusal}; no worker has the patch now") from refusal
        return _fall_back(str(refusal), patch, fleet, journal, on_disk)
    if not on_disk:  # not before: a worker that has just started would not wait for the canary
        _let_stand(project, release, patch)
    _facts(journal, "hotswap", swapped)
    done = f"swapped the function bodies in {len(swapped)} workers ({', '.join(map(str, swapped))})"
    if seen is None:
        return done
    journal.fact(
        "canary", {"worker": seen.worker, "requests": seen.requests, "others": seen.others, "compared": seen.compared}
    )
    return f"{done}; {seen.sentence}"


def _refuse_new_files(patch: Patch) -> None:
    """A body that needs a new module would find none, in this worker and in those that start later."""
    for edit in patch.edits:
        if edit.before is None and edit.path != patch.regression_test:
            raise DeployError(
                f"the patch adds {edit.path}, which no file holds: put working-tree before hotswap in chain"
            )


def _let_stand(project: Project, release: str, patch: Patch) -> None:
    """Leave the patch for workers that start later: the files hold the old text."""
    try:
        standing.save(project.state, release, files_of(patch))
    except (ChannelError, OSError) as error:
        raise DeployError(f"the patch cannot be kept for workers that start later: {error}") from error


def _forget_standing(project: Project, release: str) -> None:
    try:
        standing.remove(project.state, release)
    except OSError as error:
        raise DeployError(
            f"workers that start later would get the patch: {error}; put it right and roll back again"
        ) from error


def _swap_all(fleet: _Fleet, release: str, patch: Patch) -> tuple[list[int], Seen | None]:
    """Swap everywhere, also in workers that start meanwhile.

    Returns:
        The process ids, and what watching the first one has shown; None if it was not to be watched.

    Raises:
        _Refusal: one worker cannot; the others have their old code back.
        TakenBack: the first one did worse, or not enough, and has its old code back.
    """
    request = {"do": "swap", "release": release, "files": files_of(patch)}
    done: list[Worker] = []
    asked: list[Worker] = []
    seen: Seen | None = None
    try:
        for _ in range(_MOST_ROUNDS):
            known = {worker.pid for worker in asked}
            new = [worker for worker in live_workers(fleet.project) if worker.pid not in known]
            if not new:
                break
            for number, worker in enumerate(new):
                asked.append(worker)
                if fleet.ask(worker, request) is not None:
                    done.append(worker)
                if fleet.settings.canary_seconds and seen is None:
                    others, observe = new[number + 1 :], fleet.project.config.observe
                    seen = watch(worker, others, release, fleet, fleet.settings, observe)
        if asked and fleet.settings.canary_seconds and seen is None:
            raise Harm(f"each worker with the patch ended within {fleet.settings.canary_seconds:g} s")
    except (_Refusal, TakenBack) as refusal:
        _take_back(fleet, release, asked, refusal)
        raise
    return [worker.pid for worker in done], seen


def _take_back(fleet: _Fleet, release: str, asked: list[Worker], refusal: _Refusal | TakenBack) -> None:
    refusing = refusal.worker.pid if isinstance(refusal, _Refusal) else None
    for worker in asked:
        try:
            fleet.ask(worker, {"do": "undo", "release": release})
        except _Refusal as again:
            if worker.pid != refusing:  # the one that refused has changed nothing, or does not answer
                raise DeployError(f"{refusal}; and the swap cannot be taken back: {again}: restart the app") from again


def _fall_back(reason: str, patch: Patch, fleet: _Fleet, journal: Journal, on_disk: bool) -> str:
    if fleet.settings.fallback == "fail":
        raise DeployError(f'{reason}; fallback = "fail", so nothing was reloaded')
    if not on_disk:
        raise DeployError(
            f"{reason}; a reload would help if the files held the patch: put working-tree before hotswap in chain"
        )
    try:
        done = reload(patch, fleet.project, fleet.settings)
    except DeployError as error:
        raise DeployError(f"{reason}; and the reload failed: {error}") from error
    _facts(journal, done.method, list(done.workers))
    return f"{done.summary}, because a swap of function bodies was not enough ({reason})"


def _facts(journal: Journal, method: str, workers: list[int]) -> None:
    journal.fact("method", method)
    journal.fact("workers", workers)


def undo(step: Step, patch: Patch, project: Project, settings: HotswapTable) -> None:
    """Put the old function bodies back in all workers, also in those that loaded the patch from the disk.

    The files are restored first if the patch had been written: see `homeostasis_deploy_hotswap.disk.restore`.

    Raises:
        DeployError: a file was edited since, or a worker keeps the patched code.
    """
    release = step.undo.get("release")
    if not isinstance(release, str):
        return
    if step.undo.get("on_disk"):
        restore(patch, project)
    _forget_standing(project, release)
    fleet = _Fleet(project, settings)
    try:
        _undo_all(fleet, release, patch, step)
    except _Refusal as refusal:
        _reload_back(str(refusal), patch, fleet, on_disk=bool(step.undo.get("on_disk")))


def _undo_all(fleet: _Fleet, release: str, patch: Patch, step: Step) -> None:
    asked: set[int] = set()
    back = files_of(patch, reverse=True)
    for _ in range(_MOST_ROUNDS):
        new = [worker for worker in live_workers(fleet.project) if worker.pid not in asked]
        if not new:
            return
        for worker in new:
            asked.add(worker.pid)
            answer = fleet.ask(worker, {"do": "undo", "release": release})
            if answer is not None and not answer.get("known") and back and _loaded_patch(fleet, worker, patch, step):
                fleet.ask(worker, {"do": "swap", "release": None, "files": back})


def _loaded_patch(fleet: _Fleet, worker: Worker, patch: Patch, step: Step) -> bool:
    """Whether a worker that was never swapped may run the patch, because it read the patched files."""
    runs = []
    for reverse in (False, True):
        answer = fleet.ask(worker, {"do": "verify", "files": files_of(patch, reverse=reverse)})
        if answer is None:
            return False
        runs.append(bool(answer.get("runs")))
    if runs[0] != runs[1]:
        return runs[0]
    # The functions do not tell, so its age must: those that were there at the beginning have read the old files.
    return bool(step.undo.get("on_disk")) and worker.pid not in step.undo.get("workers", [])


def _reload_back(reason: str, patch: Patch, fleet: _Fleet, *, on_disk: bool) -> None:
    if fleet.settings.fallback == "fail" or not on_disk:
        raise DeployError(f"{reason}: the worker may still run the patched code, so restart the app")
    try:
        reload(patch, fleet.project, fleet.settings, forward=False)
    except DeployError as error:
        raise DeployError(f"{reason}; and the reload failed: {error}") from error
