"""Sockets to listen on, and the kernel's account of what it had to drop."""

from __future__ import annotations

import socket
import ssl
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Tuple

from homeostasis.errors import ConfigError

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis_collect_logs.listening.addresses import Address
    from homeostasis_collect_logs.settings import CollectLogsSettings

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes of datagrams that the kernel is asked to keep; it may grant less."""
BACKLOG = 100
_SO_RXQ_OVFL = 40
"""Linux: tell with each datagram how many were dropped before it."""
_COUNT = struct.Struct("=I")


def bound(address: Address) -> socket.socket:
    """A socket that is bound to the address, and listens if messages come in streams.

    Raises:
        ConfigError: that is not possible; says why.
    """
    made = socket.socket(_family(address), socket.SOCK_DGRAM if address.is_datagram else socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if address.is_datagram:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        elif address.transport != "unix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.transport == "unix":
            _bind_path(made, Path(address.path))
        else:
            made.bind((address.host, address.port))
        if not address.is_datagram:
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise ConfigError(f"collect-logs cannot listen on {address.text}: {error.strerror or error}") from error
    return made


def _family(address: Address) -> socket.AddressFamily:
    if address.transport == "unix":
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _bind_path(made: socket.socket, path: Path) -> None:
    """Bind to a path, in the place of a socket that nobody listens on any more; the group may write to it."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _answers(path, made.type):
            path.unlink()
    made.bind(str(path))
    path.chmod(0o660)


def _answers(path: Path, kind: int) -> bool:
    with socket.socket(socket.AF_UNIX, kind) as probe:
        return probe.connect_ex(str(path)) == 0


def keep_alive(connection: socket.socket) -> None:
    """Let the kernel end the connection if the other side is gone without a word."""
    if connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def tls_context(project: Project, settings: CollectLogsSettings) -> ssl.SSLContext:
    """The server's side of TLS.

    Raises:
        ConfigError: a file cannot be read, or is none of its kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(
            project.root / (settings.tls_certificate or ""), project.root / (settings.tls_key or "")
        )
        if settings.tls_client_ca is not None:
            context.load_verify_locations(project.root / settings.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"the certificates of [tool.homeostasis.collect-logs] cannot be used: {error}") from error
    return context


def received(source: socket.socket, size: int) -> Tuple[Optional[bytes], str, Optional[int]]:
    """The next datagram, who sent it, and how many were dropped so far, if the kernel says so.

    A datagram of more than `size` bytes is None: the kernel has cut it.

    Raises:
        BlockingIOError: there is none.
    """
    data, extra, flags, sender = source.recvmsg(size, socket.CMSG_SPACE(_COUNT.size))
    return None if flags & socket.MSG_TRUNC else data, peer_name(sender), _dropped(extra)


def peer_name(sender: object) -> str:
    """A name for the other side."""
    return f"{sender[0]}:{sender[1]}" if isinstance(sender, tuple) else ""


def _dropped(extra: List[Tuple[int, int, bytes]]) -> Optional[int]:
    counts = [data for level, kind, data in extra if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL)]
    return _COUNT.unpack(counts[-1])[0] if counts and len(counts[-1]) == _COUNT.size else None
