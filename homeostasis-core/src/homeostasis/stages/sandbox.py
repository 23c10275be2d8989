"""Stage 4, around `homeostasis_sandbox`: the base and the candidates, each in an environment of its own."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence, TypeVar

from homeostasis.builtin import own_tests
from homeostasis.errors import PluginError, SandboxError
from homeostasis.models.trial import ComparableRunner, WarmRunner, Warmth
from homeostasis.replay import warm_up
from homeostasis.stages.context import stage
from homeostasis.tree_state import TreeState, tree_state

if TYPE_CHECKING:
    from pathlib import Path

    from homeostasis.models import Completed, Incident, Patch, Runner, Trial
    from homeostasis.stages.context import Context

Answer = TypeVar("Answer")


class Trials:
    """Makes trials on demand. The base is made once; each trial remembers what it has run."""

    def __init__(self, made: _Maker, base: Trial) -> None:
        self._made = made
        self.base = base

    @contextmanager
    def fresh(self, candidate: Patch | None) -> Iterator[Trial]:
        """A trial of a candidate, or one more of the unpatched app, taken away at the end.

        Raises:
            SandboxError: no plugin could make one.
        """
        with self._made(candidate) as trial:
            yield trial


@contextmanager
def sandbox(context: Context, incident: Incident, closing: ThreadPoolExecutor | None = None) -> Iterator[Trials]:
    """The base of an incident, ready to be compared with.

    Args:
        context: the project and its plugins.
        incident: what is healed.
        closing: closes the trials, beside whatever comes after them; by default each is closed where it is left.

    Raises:
        SandboxError: no plugin could make an environment.
    """
    maker = _Maker(context, closing)
    with stage(context, "sandbox", incident) as progress:
        made = maker(None)
        base = made.__enter__()
        warmth = _warmth(context, incident, base)
        maker.temperature.warm = warmth.ready
        cold = f", in fresh processes: {warmth.reason}" if context.serving else ""
        how = ", forked from a warm interpreter" if warmth.ready else cold
        progress.found(f"isolated by {base.isolation}{how}")
    try:
        yield Trials(maker, base)
    finally:
        made.__exit__(None, None, None)


def _warmth(context: Context, incident: Incident, base: Trial) -> Warmth:
    """Whether replays can be forked now; if not, an orchestrator that stays starts what makes it so the next time."""
    warmth = base.warmth()
    if not warmth.ready and context.serving:
        warm_up(base, context.project, incident)
    return warmth


def prepare(context: Context) -> None:
    """Learn of the app as it is what is the same for all crashes; what fails shows in the first incident.

    A warm interpreter is made, in the background, and pytest lists the app's own tests.
    """
    config = context.project.config
    tested = config.validation.test_command is not None and own_tests.NAME in context.plugins.implementing("validate")
    if config.app is None and not tested:
        return
    with suppress(PluginError, SandboxError), _Maker(context, None)(None) as base:
        if config.app is not None:
            warm_up(base, context.project, None)
        if tested and not context.stopping.is_set():
            own_tests.prepare(base, context.project)


class Preparation:
    """Keeps an orchestrator that serves ready for the next crash: see `prepare`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: TreeState | None = None
        self._known: TreeState | None = None

    def now(self) -> None:
        """Prepare for the tree as it is, such as after a deployment; what is known already is not asked again."""
        self._context.plugins.read_rules()
        self._known = tree_state(self._context.project.root)
        prepare(self._context)

    def once_settled(self) -> None:
        """Prepare anew if somebody else has changed the tree, and has not gone on doing so since the last look."""
        state = tree_state(self._context.project.root)
        settled, self._seen = state is not None and state == self._seen, state
        if settled and state != self._known:
            self.now()


class _Maker:
    """Makes the trials of one incident, which share what they look at: the tree, and whether they run in forks."""

    def __init__(self, context: Context, closing: ThreadPoolExecutor | None) -> None:
        self._context, self._closing = context, closing
        self.temperature = Temperature()
        # Nobody else asks for a trial's identity. The look comes before the trials: what changes later is noticed.
        tested = context.project.config.validation.test_command
        self._tree = tree_state(context.project.root) if tested else None

    @contextmanager
    def __call__(self, candidate: Patch | None) -> Iterator[Trial]:
        try:
            trial = self._context.plugins.sandbox(candidate)
        except PluginError as error:
            raise SandboxError(str(error)) from error
        identity = identity_of(trial, self._tree, self._context.project.root)
        runner = RememberingRunner(trial.runner, self.temperature, identity)
        remembering = trial.model_copy(update={"runner": runner})
        try:
            yield remembering
        finally:
            if self._closing is None:
                remembering.close()
            else:
                self._closing.submit(remembering.close)


def identity_of(trial: Trial, tree: TreeState | None, root: Path) -> Callable[[], str | None]:
    """Answers for `Trial.identity`, as long as the tree at `root` is what it was before the trial was made."""
    runner = trial.runner

    def identity() -> str | None:
        if tree is None or not isinstance(runner, ComparableRunner) or tree_state(root) != tree:
            return None
        return hashlib.sha256(f"{runner.environment}\0{tree.digest(trial.patch)}".encode()).hexdigest()

    return identity


class Temperature:
    """Whether the trials of one incident may run in forks of a warm interpreter: all of them, or none."""

    def __init__(self) -> None:
        self.warm = False


class RememberingRunner:
    """Runs each distinct command once: validators that ask the same of one trial share the answer."""

    def __init__(
        self,
        runner: Runner,
        temperature: Temperature | None = None,
        identity: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Remember what `runner` answers.

        Args:
            runner: of the trial.
            temperature: shared by the trials of one incident.
            identity: answers for `Trial.identity`.
        """
        self._runner = runner
        self._temperature = temperature or Temperature()
        self.identity = identity
        self._answers: dict[Any, Any] = {}
        self._locks: dict[Any, threading.Lock] = {}
        self._guard = threading.Lock()

    def run(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> Completed:
        """Run a command, or answer from memory."""
        key = (tuple(argv), stdin, tuple(sorted(env.items())), cwd)
        return self._remembered(key, lambda: self._runner.run(argv, stdin=stdin, env=env, cwd=cwd, timeout=timeout))

    def warmth(self) -> Warmth:
        """Whether runs are forked; see `homeostasis.models.trial.WarmRunner`."""
        if isinstance(self._runner, WarmRunner):
            return self._runner.warmth()
        return Warmth(ready=False, reason="this sandbox has no warm interpreter")

    def warm_up(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> None:
        """Start a warm interpreter for further incidents."""
        if isinstance(self._runner, WarmRunner):
            self._runner.warm_up(argv, stdin=stdin, env=env, cwd=cwd, timeout=timeout)

    def run_warm(
        self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float
    ) -> Completed | None:
        """Run a command in a fork, or answer from memory; None if this incident is dealt with in fresh processes."""
        runner = self._runner
        if not self._temperature.warm or not isinstance(runner, WarmRunner):
            return None
        key = ("warm", tuple(argv), stdin, tuple(sorted(env.items())), cwd)
        found = self._remembered(key, lambda: runner.run_warm(argv, stdin=stdin, env=env, cwd=cwd, timeout=timeout))
        if found is None:  # the warm interpreter has ended: what it has answered is asked again, see `replay.compared`
            self.cool()
        return found

    @property
    def warm(self) -> bool:
        """Whether this incident is dealt with in forks."""
        return self._temperature.warm

    def cool(self) -> None:
        """Have all trials of the incident run in fresh processes from here on."""
        self._temperature.warm = False

    def _remembered(self, key: Any, ask: Callable[[], Answer]) -> Answer:
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._answers:
                self._answers[key] = ask()
            found: Answer = self._answers[key]
            return found

    def close(self) -> None:
        """Close the environment behind."""
        self._runner.close()
