"""Landlock, by its three system calls: a process gives up rights that it and its children never get back.

Standard library only: the launcher imports it, before the command. Constants are those of `linux/landlock.h`; what a
kernel does not know is left out, so that an old one refuses less instead of failing. Landlock limits by path what is
opened, made, removed and run; it does not limit `stat`, `chmod`, `utime`, UDP or sockets that have a path.
"""

from __future__ import annotations

import ctypes
import os
import stat
from typing import Iterable, Tuple

NETWORK_ABI = 4
"""First version that limits TCP."""
SCOPES_ABI = 6
"""First version that keeps signals and abstract sockets inside."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES = 0x20080522
"""The third version of the structures of capset(2)."""
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_MAKE_DEVICES = (1 << 6) | (1 << 11)
_CONNECT_TCP = 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1
_KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}
"""Number of file rights that a version knows; 16 from the fifth on."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]  # noqa: RUF012


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]  # noqa: RUF012


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]  # noqa: RUF012


class _Port(ctypes.Structure):
    _fields_ = [("access", ctypes.c_uint64), ("port", ctypes.c_uint64)]  # noqa: RUF012


def abi() -> int:
    """The version of Landlock that the kernel offers; 0 if none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def restrict(readable: Iterable[str], writable: Iterable[str], ports: Iterable[int]) -> None:
    """From now on only read below `readable`, write below `writable`, connect by TCP to `ports`, signal our children.

    Raises:
        OSError: the kernel refuses.
    """
    known = (1 << _KNOWN.get(abi(), 16)) - 1
    ruleset = _create(known, network=True, scopes=_ABSTRACT_SOCKETS | _SIGNALS)
    for paths, access in ((readable, _READ), (writable, known & ~_MAKE_DEVICES)):
        for path in paths:
            _allow_path(ruleset, path, access & known)
    _apply(ruleset, ports)
    # Root could read the memory of others by CAP_PERFMON, past Landlock. Without new privileges it gets none back.
    _checked(_libc.capset(ctypes.byref(_CapabilityHeader(_CAPABILITIES, 0)), (ctypes.c_uint32 * 6)()))


def restrict_network(ports: Iterable[int]) -> None:
    """From now on only connect by TCP to `ports`, and to no abstract socket outside. Older kernels do nothing.

    Raises:
        OSError: the kernel refuses.
    """
    if abi() >= NETWORK_ABI:
        _apply(_create(0, network=True, scopes=_ABSTRACT_SOCKETS), ports)


def _create(files: int, *, network: bool, scopes: int) -> int:
    version = abi()
    size = 8 if version < NETWORK_ABI else 16 if version < SCOPES_ABI else 24
    asked = _Ruleset(files, _CONNECT_TCP if network else 0, scopes)
    return _checked(_libc.syscall(_CREATE_RULESET, ctypes.byref(asked), ctypes.c_size_t(size), ctypes.c_uint32(0)))


def _allow_path(ruleset: int, path: str, access: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no right
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= _OF_FILES
        _add(ruleset, 1, _Beneath(access, parent))
    finally:
        os.close(parent)


def _apply(ruleset: int, ports: Iterable[int]) -> None:
    if abi() >= NETWORK_ABI:
        for port in ports:
            _add(ruleset, 2, _Port(_CONNECT_TCP, port))
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)))
    os.close(ruleset)


def _add(ruleset: int, kind: int, rule: ctypes.Structure) -> None:
    words: Tuple[object, ...] = (ctypes.c_int(ruleset), ctypes.c_int(kind), ctypes.byref(rule), ctypes.c_uint32(0))
    _checked(_libc.syscall(_ADD_RULE, *words))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
