"""Become an ordinary user, with or without the right to make user namespaces, and run Python's words.

    python as_ordinary_user.py allowed|refused WORD...

Root's interpreter often lies where nobody else may go, such as below /root: in a mount namespace of its own, what must
be read is shown to all. Whoever is an ordinary user already stays the same.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

NOBODY = 65534
_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def mount(source: str, target: Path, kind: bytes, flags: int, options: bytes) -> None:
    if _libc.mount(source.encode(), os.fsencode(target), kind, ctypes.c_ulong(flags), options):
        raise OSError(ctypes.get_errno(), f"mount {target}")


def show(needed: list[Path]) -> None:
    """Replace each directory that is closed to others by one that holds only what is needed."""
    unshare(0x20000)  # CLONE_NEWNS
    mount("none", Path("/"), b"", 16384 | 1 << 18, b"")  # MS_REC | MS_PRIVATE
    held = {path: os.open(path, os.O_PATH) for path in needed}
    for path in needed:
        closed = next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 1), None)
        if closed is None:
            continue
        mount("none", closed, b"tmpfs", 0, b"mode=755")
        for inside in needed:
            if closed in inside.parents:
                inside.mkdir(parents=True, exist_ok=True)
                mount(f"/proc/self/fd/{held[inside]}", inside, b"", 4096 | 16384, b"")  # MS_BIND | MS_REC
    for descriptor in held.values():
        os.close(descriptor)


def main() -> None:
    if os.getuid() == 0:
        repository = Path(__file__).resolve().parents[3]
        paths = [Path.cwd(), repository, sys.prefix, sys.base_prefix, *sys.path]
        real = sorted({Path(path).resolve() for path in paths if Path(path).is_dir()})
        show([path for path in real if not any(other in path.parents for other in real)])
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        _libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, or our own files in /proc would stay root's
    if sys.argv[1] == "refused":
        uid, gid = os.getuid(), os.getgid()
        unshare(0x10000000)  # CLONE_NEWUSER
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])  # and with that all capabilities are gone


if __name__ == "__main__":
    main()
