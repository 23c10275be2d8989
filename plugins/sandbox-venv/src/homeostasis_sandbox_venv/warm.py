"""The orchestrator's side of a zygote: start it, have it fork runs, have it import what a run has shown, end it.

See `homeostasis_sandbox_venv.zygote` for what happens on the other side. Requests go over a pair of sockets, each with
a connected socket of its own, over which its specification goes and its result comes back. A zygote ends when the pair
is closed, so also when the orchestrator is killed.
"""

from __future__ import annotations

import array
import base64
import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from homeostasis.models import Completed
from homeostasis_sandbox_venv import process
from homeostasis_sandbox_venv.layers import Layer

PROGRAM = Path(__file__).with_name("zygote")
"""The directory of its modules, which the app's interpreter must be able to read."""
_LOAD_TIMEOUT = 60.0
"""Seconds that it may take to import what a run has imported."""


class Unfit(Exception):
    """The zygote cannot be used, or no longer; says why."""


@dataclass(frozen=True)
class Cell:
    """What is the same for all runs of one trial.

    Attributes:
        root: the project's, as it is seen inside and outside.
        private: directories of which each run gets an empty one, but for what is mounted there.
        fresh: directories below them that are made.
        layer: what lies over the live tree.
        limits: resource limits by their names.
        space: most MiB that a run may write, in sum; they are kept in memory.
        env: the environment.
    """

    root: Path
    private: tuple[str, ...]
    fresh: tuple[str, ...]
    layer: Layer
    limits: Mapping[str, int]
    space: int
    env: Mapping[str, str]


class Answered(NamedTuple):
    """How a run ended, and, if it was to be learnt from, what it imported: `[name, file]` of each module in order."""

    done: Completed
    modules: list[tuple[str, str]]


class Zygote:
    """A running zygote. It must be started in a thread that outlives it: the kernel ends it with its parent."""

    def __init__(
        self, launched: Sequence[str], env: Mapping[str, str], ends: tuple[socket.socket, socket.socket], log: Path
    ) -> None:
        """Start it.

        Args:
            launched: the whole command, limits and walls included.
            env: its environment.
            ends: of a pair of sockets: ours, and the one that it inherits, which is closed here.
            log: gets what it says to its standard streams.

        Raises:
            Unfit: it cannot be started.
        """
        self._log = log
        self._server, inherited = ends
        try:
            with log.open("wb") as said:
                self._process = subprocess.Popen(
                    list(launched), stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=dict(env), cwd="/",
                    start_new_session=True, pass_fds=[inherited.fileno()],
                )  # fmt: skip
        except OSError as error:
            self._server.close()
            raise Unfit(f"it cannot be started: {error}") from error
        finally:
            inherited.close()

    @property
    def running(self) -> bool:
        """Whether its process has not ended yet."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it and all its runs. Never raises."""
        self._server.close()
        try:
            self._process.wait(process.AFTERMATH)
        except subprocess.TimeoutExpired:
            self._process.terminate()  # the launcher then ends what it has started
            self._process.wait()

    def run(
        self,
        cell: Cell,
        command: Sequence[str],
        *,
        stdin: str,
        env: Mapping[str, str],
        cwd: str,
        timeout: float,
        learn: bool = False,
    ) -> Answered:
        """Run a module in a fork; see `homeostasis.models.Trial.run`.

        Args:
            cell: of the trial.
            command: `PYTHON -m MODULE ARGUMENT...`; the interpreter is the zygote's own.
            stdin: its standard input.
            env: variables beyond those of the cell.
            cwd: relative to the root.
            timeout: seconds until it is killed with all that it has started.
            learn: also find out what it imports.

        Raises:
            Unfit: the zygote has ended, or namespaces cannot be nested here.
        """
        began = time.perf_counter()
        directory = os.path.normpath(cell.root / cwd)
        spec = {
            "root": str(cell.root), "private": cell.private, "fresh": cell.fresh,
            "hidden": cell.layer.hidden,
            "files": [(path, base64.b64encode(content).decode()) for path, content in cell.layer.written],
            "limits": dict(cell.limits), "space": cell.space,
            "env": {**cell.env, **env, "PWD": directory}, "cwd": directory,
            "module": command[2], "arguments": list(command[3:]), "learn": learn,
        }  # fmt: skip
        with _input(stdin) as given, _output() as (out, out_end), _output() as (err, err_end):
            with self._asked(b"run", spec, [given, out_end.fileno(), err_end.fileno()]) as control:
                out_end.close()
                err_end.close()
                readers = [_Reader(out), _Reader(err)]
                answer = _line(control, timeout)
                timed_out = answer is None
                if timed_out:
                    control.shutdown(socket.SHUT_WR)
                    answer = _line(control, process.AFTERMATH) or {"returncode": -9}
            texts = [reader.text() for reader in readers]
        if answer is None or "returncode" not in answer:
            raise Unfit(str((answer or {}).get("refused") or self._last_words()))
        done = Completed(
            argv=tuple(command), returncode=answer["returncode"], stdout=texts[0], stderr=texts[1],
            seconds=time.perf_counter() - began, timed_out=timed_out,
        )  # fmt: skip
        return Answered(done, _modules(answer.get("imported")) if learn else [])

    def load(self, names: Sequence[str]) -> None:
        """Have it import modules.

        Raises:
            Unfit: forking it would not be safe then.
        """
        with self._asked(b"load", list(names), []) as control:
            answer = _line(control, _LOAD_TIMEOUT)
        if not isinstance(answer, dict) or answer.get("unsafe", "") is not None:
            raise Unfit(str((answer or {}).get("unsafe") or "it does not end importing"))

    @contextlib.contextmanager
    def _asked(self, kind: bytes, question: Any, descriptors: Sequence[int]) -> Iterator[socket.socket]:
        ours, theirs = socket.socketpair()
        ours.settimeout(_LOAD_TIMEOUT)
        with ours:
            try:
                with theirs:
                    passed = array.array("i", [theirs.fileno(), *descriptors])
                    self._server.sendmsg([kind], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
                ours.sendall(json.dumps(question).encode() + b"\n")
            except OSError as error:
                raise Unfit(self._last_words()) from error
            yield ours

    def _last_words(self) -> str:
        said = self._log.read_text(encoding="utf-8", errors="replace").strip() if self._log.exists() else ""
        return f"it has ended: {said.rpartition(chr(10))[2][-200:] or 'without a word'}"


class _Reader:
    """Reads a stream in a thread."""

    def __init__(self, stream: Any) -> None:
        self._kept = bytearray()
        self._thread = threading.Thread(target=process.drain, args=(stream, self._kept), daemon=True)
        self._thread.start()

    def text(self) -> str:
        """What came until the end of the stream."""
        self._thread.join(process.AFTERMATH)
        return bytes(self._kept).decode("utf-8", "replace")


@contextlib.contextmanager
def _input(text: str) -> Iterator[int]:
    """A descriptor from which the text can be read."""
    descriptor = os.memfd_create("stdin")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _output() -> Iterator[tuple[Any, Any]]:
    """Both ends of a pipe."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as ours, os.fdopen(writing, "wb", 0) as theirs:
        yield ours, theirs


def _line(control: socket.socket, timeout: float) -> dict[str, Any] | None:
    """The object that comes as one line; None if the time is over, {} if the other side hangs up."""
    deadline, received = time.monotonic() + timeout, b""
    while not received.endswith(b"\n"):
        control.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            more = control.recv(1 << 20)
        except socket.timeout:  # another class before Python 3.10
            return None
        except OSError:
            return {}
        if not more:
            return {}
        received += more
    try:
        found = json.loads(received)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _modules(imported: Any) -> list[tuple[str, str]]:
    """What a run has imported, checked: it comes from a process that ran the app.

    Raises:
        Unfit: the run says that it cannot be learnt from.
    """
    found = imported if isinstance(imported, dict) else {"unsafe": "what it imports could not be found out"}
    if "modules" not in found:
        raise Unfit(str(found.get("unsafe"))[:200])
    listed = found["modules"] if isinstance(found["modules"], list) else []
    pairs = [pair for pair in listed if isinstance(pair, list) and len(pair) == 2 and all(map(_is_text, pair))]
    return [(name, file) for name, file in pairs]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
