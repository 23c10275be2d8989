"""What the kernel is asked for: namespaces, mounts, capabilities. The mounter imports this too."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import List, Optional

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_KEPT = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME
_RELATIME = (4096, 1 << 21)
"""The flag as statvfs tells it and as mount takes it."""
_SET_DUMPABLE, _CAPBSET_READ, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 4, 23, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Enter new namespaces; with a user namespace, the user stays who it is.

    Raises:
        OSError: the kernel or a security module refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "new namespaces are refused")
    if flags & NEWUSER:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)


def mount(source: str, target: str, kind: Optional[str] = None, flags: int = 0, options: str = "") -> None:
    """The system call of that name.

    Raises:
        OSError: it names the target.
    """
    words = [os.fsencode(source), os.fsencode(target), kind.encode() if kind else None]
    if _libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(options) or None):
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: mount of {target}")


def make_read_only(target: str) -> None:
    """Make a mount read-only; flags that a user namespace may not clear are kept."""
    told = os.statvfs(target).f_flag
    kept = (told & _KEPT) | (_RELATIME[1] if told & _RELATIME[0] else 0)
    mount("none", target, None, REMOUNT | BIND | RDONLY | kept)


def mount_points() -> List[str]:
    """Where something is mounted that can be reached, in the order in which it was mounted.

    The kernel also lists what another mount lies over, such as a home directory of its own below a private `/home`.
    """
    with open("/proc/self/mountinfo", "rb") as file:
        fields = [line.split(b" ") for line in file]
    # A space, a tab, a line end and a backslash are written in octal.
    points = [(os.fsdecode(words[4].decode("unicode_escape").encode("latin-1")), int(words[0])) for words in fields]
    return [point for point, number in points if _mounted_at(point) == number]


def _mounted_at(path: str) -> int:
    """The kernel's number of the mount that a path leads to; 0 if it leads nowhere."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(b"mnt_id:")), 0)
    finally:
        os.close(descriptor)


def be_opaque() -> None:
    """Have the kernel show nothing of this process to others of the same user."""
    _libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def drop_capabilities() -> None:
    """Give up all that a new user namespace brings, for good: also programs that are started get none.

    Raises:
        OSError: the kernel refuses.
    """
    number = 0
    while _libc.prctl(_CAPBSET_READ, number, 0, 0, 0) >= 0:
        _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0)
        number += 1
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    if _libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or _libc.capset(header, bytes(24)):
        raise OSError(ctypes.get_errno(), "capabilities cannot be given up")
