"""Addresses to listen on, such as `syslog+udp://127.0.0.1:5514` and `syslog+unix:///run/shop/log`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Transport = Literal["udp", "tcp", "tls", "unix"]
TRANSPORTS = {
    "syslog": ("udp", "tcp", "tls", "unix"),
    "gelf": ("udp", "tcp", "tls"),
    "json": ("udp", "tcp", "tls"),
    "fluent": ("tcp", "tls", "unix"),
}
"""What carries each protocol. `syslog+unix` is a datagram socket like `/dev/log`, `fluent+unix` is for streams."""


@dataclass(frozen=True)
class Address:
    """Where a listener waits, and what it expects there.

    Attributes:
        text: as the settings have it.
        protocol: a key of `TRANSPORTS`.
        transport: one of its values.
        host: IP address or `localhost`; empty for a unix socket.
        port: 0 for any free one, and for a unix socket.
        path: of the unix socket; empty for the others.
    """

    text: str
    protocol: str
    transport: Transport
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.transport == "unix" or self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    @property
    def is_datagram(self) -> bool:
        """Whether messages come as datagrams."""
        return self.transport == "udp" or (self.protocol, self.transport) == ("syslog", "unix")


def parse_address(text: str) -> Address:
    """The address that a text names.

    Raises:
        ValueError: it names none; says which are known.
    """
    parts = urlsplit(text)
    protocol, _, transport = parts.scheme.partition("+")
    if transport not in TRANSPORTS.get(protocol, ()):
        known = ", ".join(f"{name}+{each}" for name, all_of in TRANSPORTS.items() for each in all_of)
        raise ValueError(f"{text!r} is no address to listen on: it must begin with one of {known}, and ://")
    if transport == "unix":
        if not parts.path or parts.netloc:
            raise ValueError(f"{text!r} names no socket: write it as {parts.scheme}:///path/of/the/socket")
        return Address(text, protocol, "unix", path=parts.path)
    host = parts.hostname or ""
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{text!r}: the host must be an IP address or localhost") from None
    if parts.port is None or parts.path or parts.query:
        raise ValueError(f"{text!r}: it must end with a port, as in {parts.scheme}://127.0.0.1:5514")
    return Address(text, protocol, transport, host=host, port=parts.port)  # type: ignore[arg-type]
