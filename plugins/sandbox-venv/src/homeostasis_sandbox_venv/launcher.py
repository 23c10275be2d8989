# ruff: noqa: PTH100, PTH120, PTH123, PTH208 - pathlib costs milliseconds at each start of a command
"""The program between orchestrator and command: enters the tree's namespaces, sets limits, becomes the command.

It runs on the orchestrator's interpreter as `python -I -S launcher.py SPEC COMMAND...`, SPEC being a JSON object (see
`isolation.launched`). `preexec_fn` of `subprocess` would do the same, but is not safe in a process with threads.

It stays as the parent of the command (`supervise`), also of bubblewrap, which can miss the orchestrator's death while
it starts. Orphans become its children, also those that left their session and emptied their environment, and are killed
when the command ends, when it is told to end, and when the orchestrator dies.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any, Dict, List

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from homeostasis_sandbox_venv.zygote import processes

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


def main(words: List[str]) -> None:
    """Do what the specification says; ends with the command's status, or with 126 and a message."""
    spec: Dict[str, Any] = json.loads(words[0])
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != spec["orchestrator"]:
            os._exit(126)  # it was killed before we asked to be told
        if spec["supervise"]:
            _supervise(spec["orchestrator"])
        _prepare(spec)
        os.execvpe(words[1], words[1:], os.environ)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{words[1]} cannot be started in the sandbox: {error}\n")
        sys.stderr.flush()
        os._exit(126)


def _prepare(spec: Dict[str, Any]) -> None:
    for descriptor, kind in zip(spec["namespaces"], (_CLONE_NEWUSER, _CLONE_NEWNS)):
        if descriptor >= 0:
            if _libc.setns(descriptor, kind):
                raise OSError(ctypes.get_errno(), "the namespace of the tree cannot be entered")
            os.close(descriptor)
    processes.limit(spec["limits"])
    os.chdir(spec["cwd"])
    if spec["landlock"] is not None or spec["ports"] is not None:
        from homeostasis_sandbox_venv import landlock

        if spec["landlock"] is not None:
            landlock.restrict(spec["landlock"]["readable"], spec["landlock"]["writable"], spec["ports"] or ())
        else:
            landlock.restrict_network(spec["ports"])


def _supervise(orchestrator: int) -> None:
    """Fork; only the child returns. The parent waits for it, ends all that is left, and ends as the child did."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    main_child = os.fork()
    if main_child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})
        return
    status = None
    if os.getppid() == orchestrator:
        while status is None and signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) == signal.SIGCHLD:
            status = processes.reap(main_child)
    status = _end_all(main_child, status)
    if os.WIFSIGNALED(status):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def _end_all(main_child: int, status: Any) -> int:
    while True:
        for pid in _children():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        try:
            pid, ended = os.waitpid(-1, 0)  # the children of each become ours, so the next round finds them
        except ChildProcessError:
            return int(status if status is not None else signal.SIGKILL)
        if pid == main_child:
            status = ended


def _children() -> List[int]:
    own = os.getpid()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    if int(file.read().rpartition(b")")[2].split()[1]) == own:
                        found.append(int(name))
            except OSError:
                continue
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
