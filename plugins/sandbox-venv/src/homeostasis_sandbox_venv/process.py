"""Run one command with bounded output and a deadline; nothing of its process group survives it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import IO, Callable, Mapping, Sequence

from homeostasis.errors import SandboxError
from homeostasis.models import Completed

MAX_OUTPUT = 4 * 1024 * 1024
"""Bytes that are kept of each stream; the rest is read and dropped, so that the command does not block."""

AFTERMATH = 2.0
"""Seconds for the streams to end once all processes are killed."""


def run(
    argv: Sequence[str],
    command: Sequence[str],
    *,
    stdin: str,
    env: Mapping[str, str],
    cwd: str,
    timeout: float,
    end_strays: Callable[[], None],
    descriptors: Sequence[int] = (),
) -> Completed:
    """Run `argv` and wait for its end.

    Args:
        argv: what is executed, walls and limits included.
        command: what was asked for, for the result.
        stdin: text for its standard input.
        env: its whole environment.
        cwd: its directory.
        timeout: seconds until its process group is killed.
        end_strays: called after its end, to kill what left the group.
        descriptors: those that it inherits.

    Raises:
        SandboxError: it cannot be started.
    """
    began = time.perf_counter()
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    except OSError as error:
        raise SandboxError(f"{command[0]} cannot be started in the sandbox: {error}") from error
    streams = [stream for stream in (process.stdin, process.stdout, process.stderr) if stream is not None]
    out, err = bytearray(), bytearray()
    threads = [
        threading.Thread(target=_write, args=(streams[0], stdin.encode()), daemon=True),
        threading.Thread(target=drain, args=(streams[1], out), daemon=True),
        threading.Thread(target=drain, args=(streams[2], err), daemon=True),
    ]
    for thread in threads:
        thread.start()
    # `Popen.wait` with a timeout polls and would add up to 50 ms to each run; a thread that waits knows at once.
    waiter = threading.Thread(target=process.wait, daemon=True)
    waiter.start()
    try:
        waiter.join(timeout)
        timed_out = waiter.is_alive()
    finally:
        if waiter.is_alive():
            process.send_signal(signal.SIGTERM)  # the launcher then ends what left the group, for which it has a moment
            waiter.join(AFTERMATH)
        _kill_group(process.pid)
        waiter.join()
        end_strays()
    deadline = time.monotonic() + AFTERMATH
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    for stream, thread in zip(streams, threads):
        if not thread.is_alive():
            _close(stream)
    return Completed(
        argv=tuple(command),
        returncode=process.returncode,
        stdout=bytes(out).decode("utf-8", "replace"),
        stderr=bytes(err).decode("utf-8", "replace"),
        seconds=time.perf_counter() - began,
        timed_out=timed_out,
    )


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of it has ended
    except PermissionError:
        return  # the rest of the group belongs to somebody else


def _write(stream: IO[bytes], content: bytes) -> None:
    try:
        stream.write(content)
        stream.close()
    except OSError:
        return  # the command did not read it all


def drain(stream: IO[bytes], kept: bytearray) -> None:
    """Read a stream to its end, and keep its first `MAX_OUTPUT` bytes in `kept`."""
    while True:
        try:
            chunk = os.read(stream.fileno(), 65536)
        except OSError:
            return
        if not chunk:
            return
        kept += chunk[: MAX_OUTPUT - len(kept)]


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        return  # what was left in its buffer has no reader any more
