"""`TrialRunner`: one trial, in processes forked from a zygote where that is asked for and possible, else in fresh ones.

The tree and the environment for fresh processes are made when one is first needed: a candidate that is rejected by its
replay never needs them. Without a zygote, or with settings that may fail, they are made at once.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Mapping, Sequence

from homeostasis.errors import PatchConflict, SandboxError
from homeostasis.models import Completed, Patch, Trial
from homeostasis.models.trial import Warmth
from homeostasis.project import Project
from homeostasis_sandbox_venv import directories, fresh, interpreter, isolation, layers, warm, zygotes
from homeostasis_sandbox_venv.fresh import VenvRunner
from homeostasis_sandbox_venv.layers import Layer
from homeostasis_sandbox_venv.overlayfs import Overlay
from homeostasis_sandbox_venv.settings import Settings
from homeostasis_sandbox_venv.warm import Cell, Unfit, Zygote
from homeostasis_sandbox_venv.zygotes import Kept, Place


class TrialRunner:
    """Runs the commands of one trial. `directory` is the trial's own."""

    def __init__(self, patch: Patch | None, place: Place) -> None:
        """Check the patch; make the tree and the environment unless a zygote is ready.

        Raises:
            SandboxError: a setting asks for what does not work here.
            PatchConflict: the tree is not what the patch was made from.
        """
        self._patch, self._place = patch, place
        self._sources = layers.sources(place.project)
        self._layer: Layer | None = None
        self.directory = directories.make()
        self._made: VenvRunner | None = None
        self._closed = False
        self._guard = threading.Lock()
        try:
            if self.warmth().ready:
                self._layer = layers.make(patch, place.project.root, place.settings.files)
            else:
                self._fresh()
        except BaseException:
            self.close()
            raise

    # --- fresh processes

    @property
    def mounted(self) -> Overlay | None:
        """The overlay on which fresh processes run, if it is one."""
        return self._fresh().mounted

    @property
    def root(self) -> Path:
        """The tree's root as commands see it."""
        if self._made is None and self._place.level == "bubblewrap":
            return self._place.project.root
        return self._fresh().root

    def run(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> Completed:
        """Run a command; see `homeostasis.models.Trial.run`."""
        return self._fresh().run(argv, stdin=stdin, env=env, cwd=cwd, timeout=timeout)

    def _fresh(self) -> VenvRunner:
        with self._guard:
            if self._closed:
                raise SandboxError("the trial is over")
            if self._made is None:
                place = self._place
                self._made = fresh.make_runner(
                    self._patch, place.project, place.settings, place.level, place.app, self.directory
                )
            return self._made

    def close(self) -> None:
        """End what still runs and delete the trial. Never raises."""
        with self._guard:
            self._closed = True
            if self._made is not None:
                self._made.close()
            elif self.directory.is_dir():  # no process has ever had its mark, so none is looked for
                shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def environment(self) -> str:
        """What the commands find beside the tree; see `homeostasis.models.trial.ComparableRunner`."""
        return self._place.environment

    # --- processes forked from a zygote

    def warmth(self) -> Warmth:
        """Whether a zygote is ready; see `homeostasis.models.trial.WarmRunner`."""
        return zygotes.warmth(self._place)

    def warm_up(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> None:
        """Start a zygote in the background that learns from this command what to import."""

        def ask(kept: Kept, zygote: Zygote, learn: bool) -> warm.Answered:
            options = {"stdin": stdin, "env": env, "cwd": cwd, "timeout": timeout}
            return zygote.run(self._cell(kept), argv, learn=learn, **options)  # type: ignore[arg-type]

        if not self._place.obstacle and self._patch is None and self._is_a_module(argv):
            zygotes.start(self._place, ask)

    def run_warm(
        self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float
    ) -> Completed | None:
        """Run a module in a fork of the zygote; None if there is none now, or if the sources changed meanwhile."""
        kept = zygotes.find(self._place)
        zygote = kept.zygote if kept is not None else None
        if kept is None or zygote is None or not self._is_a_module(argv) or self._closed:
            return None
        try:
            done = zygote.run(self._cell(kept), argv, stdin=stdin, env=env, cwd=cwd, timeout=timeout).done
        except (Unfit, PatchConflict):  # the latter from a layer that is made late, over a tree that has changed
            return None
        kept.use()
        return done.model_copy(update={"warm": True}) if self._sources == layers.sources(self._place.project) else None

    def _is_a_module(self, argv: Sequence[str]) -> bool:
        return len(argv) > 2 and tuple(argv[:2]) == (str(fresh.python_of(self.directory)), "-m")

    def _cell(self, kept: Kept) -> Cell:
        if self._layer is None:  # the trial was made before there was a zygote
            self._layer = layers.make(self._patch, self._place.project.root, self._place.settings.files)
        return kept.cell(self._layer)


def make_trial(patch: Patch | None, project: Project, settings: Settings) -> Trial:
    """A trial of a patch, or of the app as it is.

    Raises:
        SandboxError: the isolation that is required does not work here, or the app's interpreter does not run.
        PatchConflict: the tree is not what the patch was made from.
    """
    level, reason = isolation.probe()
    if settings.require is not None and isolation.LEVELS.index(level) < isolation.LEVELS.index(settings.require):
        raise SandboxError(f"require = {settings.require!r} in [tool.homeostasis.sandbox-venv], but {reason}")
    app = interpreter.describe(interpreter.find(project))
    runner = TrialRunner(patch, Place(project, settings, level, app))
    python = str(fresh.python_of(runner.directory))
    return Trial(root=runner.root, python=python, isolation=_isolation(level, settings), patch=patch, runner=runner)


def _isolation(level: str, settings: Settings) -> str:
    """The level as verdicts tell it, with what is open: requests with side effects are not sent then."""
    hosts = settings.allow_hosts
    return f"{level}, open to {', '.join(hosts)}" if hosts and level != "rlimits" else level
