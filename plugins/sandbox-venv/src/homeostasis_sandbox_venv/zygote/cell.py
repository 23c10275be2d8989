"""One run: a process in namespaces of its own.

Three processes are forked. The first makes the namespaces and ends. The second is the first process of the new process
namespace: it mounts, waits, ends all that is left, so that no daemon survives, and reports. It keeps its capabilities
and is opaque, so that the third, which has given up its own, cannot trace it, nor kill it, by the rules for a
namespace's first process. The third becomes the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from typing import Any, Dict, List, Optional

from . import linux, loopback, mounts, processes

_MOST_LEARNT = 1 << 22
"""Bytes that are read of what a run says of its imports."""


class Entered(Exception):
    """Raised in the process that has become the run, to leave the zygote's frames. Holds its specification."""

    def __init__(self, spec: Dict[str, Any], report: Optional[int]) -> None:
        super().__init__("a run begins")
        self.spec = spec
        self.report = report


def enter(control: int, streams: List[int], nest: str) -> None:
    """Go through the three processes; called in the first one, and never returns.

    Args:
        control: a connected socket: one line with the specification comes, one with the result goes.
        streams: what become standard input, output and error.
        nest: a directory, private to the zygote; see `mounts.furnish`.

    Raises:
        Entered: in the run's process.
    """
    try:
        spec = json.loads(line(control))
        linux.unshare(linux.NEWUSER | linux.NEWNS | linux.NEWPID | linux.NEWIPC | linux.NEWNET)
        if os.fork():
            os._exit(0)
        linux.be_opaque()
        loopback.switch_on()
        mounts.furnish(spec, nest)
        report = os.memfd_create("imported") if spec["learn"] else None
    except (OSError, AttributeError) as error:  # what Python was built on may not know memfd_create
        say(control, {"refused": str(error)})
        os._exit(1)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    child = os.fork()
    if child == 0:
        _become(spec, streams, report)
        raise Entered(spec, report)
    for descriptor in streams:
        os.close(descriptor)
    _wait(child, control, woken, report)


def line(control: int) -> bytes:
    """What comes up to the end of the line; without one, this process ends."""
    received = b""
    while not received.endswith(b"\n"):
        more = os.read(control, 1 << 20)
        if not more:
            os._exit(1)
        received += more
    return received


def say(control: int, what: Dict[str, Any]) -> None:
    """Send one line."""
    content = json.dumps(what).encode() + b"\n"
    try:
        while content:
            content = content[os.write(control, content) :]
    except OSError:
        return  # nobody is there any more


def _wait(child: int, control: int, woken: int, report: Optional[int]) -> None:
    """Until the run ends, or the other side hangs up; then end all that is left, and report."""
    status = None
    while status is None:
        ready, _, _ = select.select([control, woken], [], [])
        if control in ready:
            break
        os.read(woken, 4096)
        status = processes.reap(child)
    status = _end_all(child, status)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    say(control, {"returncode": code, "imported": _learnt(report)})
    os._exit(0)


def _end_all(child: int, status: Optional[int]) -> int:
    while True:
        with contextlib.suppress(ProcessLookupError):  # what has ended may still wait to be collected
            os.kill(-1, signal.SIGKILL)  # all of the namespace but this process
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return int(signal.SIGKILL) if status is None else status
        if pid == child:
            status = ended


def _learnt(report: Optional[int]) -> Any:
    if report is None:
        return None
    try:
        return json.loads(os.pread(report, _MOST_LEARNT, 0))
    except (ValueError, RecursionError):
        return None  # the run was ended, or has written into it


def _become(spec: Dict[str, Any], streams: List[int], report: Optional[int]) -> None:
    """Be what a fresh process would be: own session, streams, limits, environment, and no capability."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != report:
            try:
                os.close(int(name))
            except OSError:
                continue  # the listing's own
    processes.limit(spec["limits"])
    os.environ.clear()
    os.environ.update(spec["env"])
    linux.drop_capabilities()
    os.chdir(spec["cwd"])
    sys.argv[:] = [spec["module"], *spec["arguments"]]
    sys.path[0] = spec["cwd"]
    sys.path_importer_cache.clear()
