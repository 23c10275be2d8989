"""`Supervisor`: starts the app's command, forwards its output, restarts and stops it as a whole.

The command runs in a session of its own, so that a stop reaches its workers too, and Ctrl-C reaches the orchestrator
only. It outlives an orchestrator that is killed: healing must never be why a service is down.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Iterator, Mapping, Sequence

from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from homeostasis.project import Project

STATE_FILE = "supervised.json"
_POLL = 0.02
_AFTER_KILL = 5.0

_current: dict[Path, Supervisor] = {}


def current(project_root: Path) -> Supervisor | None:
    """The supervisor that runs the app of a project in this process, or None."""
    return _current.get(Path(project_root).resolve())


class Supervisor:
    """Runs one command.

    Args:
        argv: program and arguments; runs in the project's root.
        project: whose app it is.
        env: variables to add to those of this process.
        output: gets what the command writes; None leaves it this process's own output.
    """

    def __init__(
        self,
        argv: Sequence[str],
        project: Project,
        env: Mapping[str, str] | None = None,
        output: BinaryIO | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self.project = project
        self._env = dict(env or {})
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._forwarder: threading.Thread | None = None
        self._changing = threading.RLock()
        self._ended = threading.Event()

    @property
    def pid(self) -> int | None:
        """Of the command, which leads its process group; None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs or before the start."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the command.

        Raises:
            UsageError: it runs already, or cannot be run.
        """
        with self._changing:
            if self._process is not None and self._process.poll() is None:
                raise UsageError(f"{shlex.join(self.argv)} runs already")
            self._ended.clear()
            self._process = self._spawn()
            _current[self.project.root.resolve()] = self
            self._write_state(self._process.pid)
            threading.Thread(
                target=self._watch, args=(self._process,), name="homeostasis-supervisor", daemon=True
            ).start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        env = {**os.environ, **self._env, "HOMEOSTASIS_PROJECT": str(self.project.root)}
        forwarded = self._output is not None
        try:
            process = subprocess.Popen(  # the command that the user gave to `homeostasis run`
                list(self.argv),
                cwd=str(self.project.root),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if forwarded else None,
                stderr=subprocess.STDOUT if forwarded else None,
                start_new_session=True,
            )
        except (OSError, ValueError, IndexError) as error:
            raise UsageError(f"cannot start {shlex.join(self.argv) or 'an empty command'}: {error}") from error
        if process.stdout is not None:
            self._forwarder = threading.Thread(target=self._forward, args=(process.stdout,), daemon=True)
            self._forwarder.start()
        return process

    def _forward(self, pipe: BinaryIO) -> None:
        assert self._output is not None  # noqa: S101 - a pipe is made only if there is an output
        with pipe:
            for line in iter(pipe.readline, b""):
                try:
                    self._output.write(line)
                    self._output.flush()
                except (OSError, ValueError):
                    continue  # our output is closed: go on reading, or the app would block on a full pipe

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        with self._changing:  # a restart or stop holds this, and has replaced the process or cares for the end itself
            if self._process is process and not self._ended.is_set():
                self._finish()

    def _finish(self) -> None:
        if _current.get(self.project.root.resolve()) is self:
            del _current[self.project.root.resolve()]
        with contextlib.suppress(OSError):
            (self.project.state / STATE_FILE).unlink()
        self._ended.set()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until the command ends by itself or is stopped; a restart does not count.

        Returns:
            Its exit status, or None after `timeout` seconds.
        """
        if not self._ended.wait(timeout):
            return None
        return self.returncode

    def stop(self, timeout: float = 10.0) -> None:
        """End the command and all that it has started: ask first, and kill what is left after `timeout` seconds."""
        with self._changing:
            if self._process is None:
                return
            self._end_group(self._process, timeout)
            if not self._ended.is_set():
                self._finish()
        if self._forwarder is not None:
            self._forwarder.join(1.0)

    def restart(self, timeout: float = 10.0) -> None:
        """Stop the command and start it anew.

        Raises:
            UsageError: it was never started, or cannot be started again.
        """
        with self._changing:
            if self._process is None or self._ended.is_set():
                raise UsageError(f"{shlex.join(self.argv)} does not run, so it cannot be restarted")
            self._end_group(self._process, timeout)
            try:
                self.start()
            except UsageError:
                self._finish()
                raise

    def _end_group(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, _AFTER_KILL)):
            deadline = time.monotonic() + patience
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            while process.poll() is None or _group_lives(process.pid):
                if time.monotonic() > deadline:
                    break
                time.sleep(_POLL)
            else:
                return

    def _write_state(self, pid: int) -> None:
        content = json.dumps({"pid": pid, "argv": list(self.argv), "started": time.time()})
        target = self.project.state / STATE_FILE
        handle, name = tempfile.mkstemp(dir=str(self.project.state), prefix=f".{STATE_FILE}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        Path(name).replace(target)


def _group_lives(group: int) -> bool:
    """Whether a process of the group still runs. Zombies that nobody collects, as in many containers, do not."""
    if not Path("/proc/self/stat").exists():
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    return any(found == group and state not in "ZX" for found, state in _groups())


def _groups() -> Iterator[tuple[int, str]]:
    """Process group and state of each process, from /proc (see proc(5))."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            yield int(fields[2]), fields[0]
