"""`Trial`: a candidate placed in an isolated environment, in which commands are run."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, NamedTuple, Protocol, Sequence, runtime_checkable

from pydantic import ConfigDict, Field

from homeostasis.models.base import Model
from homeostasis.models.patch import Patch


class Completed(Model):
    """How a command in a trial ended."""

    argv: tuple[str, ...]
    returncode: int = Field(description="Exit status; negative for a signal, as in `subprocess`.")
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False
    warm: bool = Field(default=False, description="It ran in a process that was forked from a warm interpreter.")


class Runner(Protocol):
    """What a sandbox plugin implements: runs commands inside one isolated environment and takes it away."""

    def run(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> Completed:
        """Run a command; see `Trial.run`."""
        ...

    def close(self) -> None:
        """End what still runs and delete what was made. Never raises."""
        ...


class Warmth(NamedTuple):
    """Whether a warm interpreter is ready, and why it is not, in a phrase."""

    ready: bool
    reason: str = ""


@runtime_checkable
class WarmRunner(Runner, Protocol):
    """A `Runner` that can also fork runs from a *zygote*, an interpreter that has imported the app's libraries already.

    What such a run shows must be what a fresh process would show, but for the time. A runner without these methods is
    as good a runner: all is run in fresh processes then.
    """

    def warmth(self) -> Warmth:
        """Whether runs could be forked now."""
        ...

    def warm_up(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> None:
        """Start a zygote in the background, unless there is one. What this command imports is what it shall import."""
        ...

    def run_warm(
        self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float
    ) -> Completed | None:
        """Run a command as `run` does, in a fork; None if it cannot be."""
        ...


@runtime_checkable
class ComparableRunner(Runner, Protocol):
    """A `Runner` that can tell in what it runs commands, apart from the tree.

    A runner without this attribute is as good a runner: nothing that one of its trials shows is used in another.
    """

    @property
    def environment(self) -> str:
        """Changes with whatever a command could notice: the interpreter, its packages, settings, the isolation."""
        ...


class Trial(Model):
    """A tree with or without a patch, in an isolated environment. Close it, or use it as a context manager.

    The sandbox hook makes it; validators run things in it. It is not persisted: a trial that was lost is made again.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    root: Path = Field(description="The tree's root, as commands inside the trial see it.")
    python: str = Field(description="The app's interpreter with its packages, as commands inside see it.")
    isolation: str = Field(description="Level that was reached: `bubblewrap`, `landlock`, `rlimits`.")
    patch: Patch | None = Field(default=None, description="What was applied; None for the base.")
    runner: Any = Field(exclude=True, repr=False, description="The plugin's `Runner`.")

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: str = ".",
        timeout: float = 60.0,
        warm: bool = False,
    ) -> Completed:
        """Run a command inside and wait for it.

        Args:
            argv: the command; `{python}` as first item stands for the trial's interpreter.
            stdin: text for its standard input.
            env: variables beyond those that the sandbox passes on.
            cwd: directory relative to the tree's root.
            timeout: seconds after which the whole process group is killed.
            warm: a process that is forked from a warm interpreter will do, if the sandbox has one.
        """
        words = self._words(argv)
        found = None
        if warm and isinstance(self.runner, WarmRunner):
            found = self.runner.run_warm(words, stdin=stdin, env=env or {}, cwd=cwd, timeout=timeout)
        if found is not None:
            return found
        runner: Runner = self.runner
        return runner.run(words, stdin=stdin, env=env or {}, cwd=cwd, timeout=timeout)

    def warm_up(self, argv: Sequence[str], *, stdin: str = "", cwd: str = ".", timeout: float = 60.0) -> None:
        """Have the sandbox start a warm interpreter in the background, if it can; see `WarmRunner.warm_up`."""
        if isinstance(self.runner, WarmRunner):
            self.runner.warm_up(self._words(argv), stdin=stdin, env={}, cwd=cwd, timeout=timeout)

    def warmth(self) -> Warmth:
        """Whether runs can be forked from a warm interpreter."""
        if isinstance(self.runner, WarmRunner):
            return self.runner.warmth()
        return Warmth(ready=False, reason="this sandbox has no warm interpreter")

    @property
    def warm(self) -> bool:
        """Whether runs for which a fork will do are forked, as far as is known; it never becomes true again."""
        return bool(getattr(self.runner, "warm", False))

    def identity(self) -> str | None:
        """Equal for trials in which the same command finds the same: the same tree, patch included, and environment.

        Returns:
            None if that is not known, as when the live tree has changed since the incident began.
        """
        identity = getattr(self.runner, "identity", None)
        found: str | None = None if identity is None else identity()
        return found

    def cool(self) -> None:
        """Have this trial, and those that it is compared with, run in fresh processes from here on."""
        cool = getattr(self.runner, "cool", None)
        if cool is not None:
            cool()

    def _words(self, argv: Sequence[str]) -> list[str]:
        return [self.python if word == "{python}" else word for word in argv]

    def close(self) -> None:
        """End what still runs inside and delete what was made."""
        self.runner.close()

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
