"""The zygote's loop: one datagram for each request, with the descriptors that belong to it."""

from __future__ import annotations

import array
import atexit
import json
import os
import runpy
import signal
import socket
from typing import List, Tuple

from . import cell, preload

_MOST = 4
"""Descriptors that come with a request: its socket, and for a run standard input, output and error."""


def main(words: str) -> None:
    """Serve until the other side hangs up. Returns only in the process of a run, after the run."""
    spec = json.loads(words)
    place = preload.Place(spec["root"], spec["libraries"])
    os.mkdir(os.path.join(spec["nest"], "stage"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects the first process of each run
    try:
        _serve(socket.socket(fileno=spec["descriptor"]), spec["nest"], place)
    except cell.Entered as entered:
        run, report = entered.spec, entered.report
    if report is not None:
        _report_at_exit(report, place)
    runpy.run_module(run["module"], run_name="__main__", alter_sys=True)


def _serve(server: socket.socket, nest: str, place: preload.Place) -> None:
    while True:
        kind, received = _receive(server)
        if kind == b"run":
            if os.fork() == 0:
                server.close()
                cell.enter(received[0], received[1:], nest)
        elif kind == b"load":
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a library may run a program and ask how it ended
            unsafe = preload.load(json.loads(cell.line(received[0])), place)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            cell.say(received[0], {"unsafe": unsafe})
        else:
            os._exit(0)
        for held in received:
            os.close(held)


def _receive(server: socket.socket) -> Tuple[bytes, List[int]]:
    received = array.array("i")
    space = socket.CMSG_SPACE(_MOST * received.itemsize)
    kind, ancillary, _, _ = server.recvmsg(16, space)
    for level, of, data in ancillary:
        if (level, of) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            received.frombytes(data[: len(data) - len(data) % received.itemsize])
    return kind, list(received)


def _report_at_exit(report: int, place: preload.Place) -> None:
    """Write down what was imported when this process ends, also by `os._exit`, as a replay does."""
    own, leave = os.getpid(), os._exit

    def write() -> None:
        if os.getpid() == own:
            patched = preload.monkey_patched()
            found = {"unsafe": patched} if patched else {"modules": preload.imported(place)}
            os.pwrite(report, json.dumps(found).encode(), 0)

    def report_and_leave(status: int) -> None:
        write()
        leave(status)

    atexit.register(write)
    os._exit = report_and_leave  # type: ignore[assignment]
