"""The loopback device of a network namespace."""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import Tuple

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def switch_on() -> None:
    """Switch it on, in a new namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        name = struct.pack("16sh14x", b"lo", 0)
        flags: Tuple[int, ...] = struct.unpack_from("h", fcntl.ioctl(asking, _SIOCGIFFLAGS, name), 16)
        fcntl.ioctl(asking, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags[0] | _IFF_UP))
