"""Hostile candidates in forks of a zygote: what they try against the machine, the zygote and each other."""

from __future__ import annotations

import os
import socket
import textwrap
import threading
import time
from pathlib import Path

import pytest

from homeostasis_sandbox_venv import isolation, zygotes

pytestmark = pytest.mark.skipif(isolation.probe()[0] != "bubblewrap", reason=isolation.probe()[1] or "-")

ATTEMPTS = {
    "write outside": "open(OUTSIDE, 'w').write('ruined')",
    "read a secret in the home directory": "open(SECRET).read()",
    "read the ledger": "open(LEDGER).read()",
    "reach a server of the host": "socket.create_connection(('127.0.0.1', PORT), 5)",
    "signal the orchestrator": "os.kill(OWNER, 0)",
    "kill the first process": "os.kill(1, 9); time.sleep(0.2); os.kill(1, 0); assert os.getppid() != 1",
    "read the first process's memory": "open('/proc/1/mem', 'rb').read(1)",
    "reach the first process's descriptors": "[os.readlink('/proc/1/fd/' + n) for n in [*os.listdir('/proc/1/fd'), '3']]",
    "open the first process's descriptors": "[os.open('/proc/1/fd/' + n, 0) for n in [*os.listdir('/proc/1/fd'), '3']]",
    "see other processes": "assert [n for n in os.listdir('/proc') if n.isdigit() and int(n) not in (1, os.getpid())]",
    "find a descriptor of the zygote": "assert [n for n in os.listdir('/proc/self/fd') if int(n) > 2 and os.path.exists('/proc/self/fd/' + n)]",
    "take the overlay away": "mount(libc.umount2(os.getcwd().encode(), 2))",
    "take the temporary directory away": "mount(libc.umount2(b'/tmp', 2))",
    "make the system writable": "mount(libc.mount(b'none', b'/', None, ctypes.c_ulong(32 | 4096), None))",
    "make the devices writable": "mount(libc.mount(b'none', b'/dev', None, ctypes.c_ulong(32 | 4096), None))",
    "take the overlay away in namespaces of its own": "mount(libc.unshare(0x10020000)); mount(libc.umount2(os.getcwd().encode(), 2))",
    "join the first process's namespaces": "mount(libc.setns(os.open('/proc/1/ns/mnt', os.O_RDONLY), 0))",
    "change the kernel's settings": "open('/proc/sys/vm/swappiness', 'w').write('60')",
    "leave a file in /dev": "open('/dev/note', 'w').write('x')",
    "gain rights by a program": "import subprocess; assert b'CapEff:\\t0000000000000000' not in subprocess.check_output(['cat', '/proc/self/status'])",
    "fill a file": "open('big', 'wb').write(bytes(4 << 20))",
    "fill memory by many files": "for n in range(64): open('big%d' % n, 'wb').write(bytes(1 << 19))",
    "fill shared memory": "for n in range(64): open('/dev/shm/big%d' % n, 'wb').write(bytes(1 << 19))",
    "fill memory": "bytearray(2 << 30)",
}
"""Name to a program that ends well only if it succeeds."""

PROLOGUE = """
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def mount(failed):
    if failed:
        raise OSError(ctypes.get_errno(), "refused")
"""


@pytest.fixture
def warmed(make_project, trial_of):
    """A project, and what makes trials of it once its zygote is ready."""
    project = make_project({"runner.py": "import sys\nexec(sys.stdin.read())\n", "shop.py": "TEA = 1\n"})
    first = trial_of(project, memory_mb=1024, file_mb=1)
    first.warm_up(["{python}", "-m", "runner"], stdin="import ctypes")
    deadline = time.monotonic() + 120
    while not first.warmth().ready:
        assert first.warmth().reason in (zygotes.MAKING, "")
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield project, lambda: trial_of(project, memory_mb=1024, file_mb=1)
    zygotes.end_all()


def run(trial, code, **options):
    done = trial.run(["{python}", "-m", "runner"], stdin=PROLOGUE + textwrap.dedent(code), warm=True, **options)
    assert done.warm, trial.warmth()
    return done


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_each_attempt_is_stopped(warmed, tmp_path, attempt):
    """And the zygote still answers, with an unharmed tree."""
    project, trial_of = warmed
    for name in ("outside", "secret"):
        (tmp_path / name).write_text("whole")
    (project.state / "ledger.db").write_text("whole")
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = {"OUTSIDE": tmp_path / "outside", "SECRET": tmp_path / "secret", "LEDGER": project.state / "ledger.db"}
        known = "".join(f"{name} = {str(path)!r}\n" for name, path in names.items())
        known += f"PORT = {server.getsockname()[1]}\nOWNER = {os.getpid()}\n"
        done = run(trial_of(), known + ATTEMPTS[attempt])
    assert done.returncode != 0 or attempt == "write outside", done.stdout
    assert (tmp_path / "outside").read_text() == "whole"
    assert run(trial_of(), "import shop; print(shop.TEA)").stdout == "1\n"


TRACES = ("'shop.py'", "'/tmp/trace'", "os.environ['HOME'] + '/trace'", "'/dev/shm/trace'", "'/var/tmp/trace'")


def test_nothing_that_a_run_writes_is_seen_by_another(warmed):
    """Neither in the tree nor in temporary, home and shared-memory directories, nor in the live tree."""
    project, trial_of = warmed
    places = f"places = [{', '.join(TRACES)}]\n"
    trial = trial_of()
    wrote = run(trial, places + "for place in places: open(place, 'w').write('TEA = 666')")
    assert wrote.returncode == 0, wrote.stderr
    looked = run(trial, places + "print([os.path.exists(place) for place in places], open('shop.py').read())")
    assert looked.stdout == "[True, False, False, False, False] TEA = 1\n\n"
    assert (project.root / "shop.py").read_text() == "TEA = 1\n"


def test_siblings_cannot_reach_each_other(warmed, tmp_path):
    """While one waits, another finds neither its process, nor its files, nor its sockets, nor its shared memory."""
    _, trial_of = warmed
    code = """
        open("/tmp/here", "w").close()
        server = socket.create_server(("127.0.0.1", 8765))
        named = socket.socket(socket.AF_UNIX); named.bind("\\0sibling"); named.listen()
        print(libc.shmget(4711, 4096, 0o1600) >= 0, flush=True)
        time.sleep(600)
        """
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(run(trial_of(), code, timeout=8)))
    thread.start()
    look = """
        def connects(kind, address):
            try:
                socket.socket(kind).connect(address)
            except OSError:
                return False
            return True
        print(os.path.exists("/tmp/here"), connects(socket.AF_INET, ("127.0.0.1", 8765)),
              connects(socket.AF_UNIX, "\\0sibling"), libc.shmget(4711, 4096, 0o600) >= 0,
              sorted(int(n) for n in os.listdir("/proc") if n.isdigit() and int(n) not in (1, os.getpid())))
        try:
            os.kill(-1, 9)
        except OSError:
            pass
        """
    while thread.is_alive():
        assert run(trial_of(), look).stdout == "False False False False []\n"
    thread.join()
    assert (waiting[0].stdout, waiting[0].timed_out) == ("True\n", True), waiting[0].stderr


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", MARK], {})
    os._exit(0)
time.sleep(1 if SHORT else 600)
"""


@pytest.mark.parametrize("short", [True, False], ids=["ends", "times out"])
def test_a_daemon_ends_with_the_run(warmed, tmp_path, short):
    """When the run is over, it is."""
    mark = f"daemon-of-{tmp_path}-{short}"
    _, trial_of = warmed
    done = run(trial_of(), f"MARK, SHORT = {mark!r}, {short}\n{DAEMON}", timeout=30 if short else 3)
    assert done.timed_out == (not short)
    assert not [f for f in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(f)]


def _read(file):
    try:
        return file.read_bytes()
    except OSError:
        return b""
