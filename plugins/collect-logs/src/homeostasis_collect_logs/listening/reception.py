"""`Reception`: all sockets of the listeners, served in turns by one thread.

While a turn's crashes are being written, nothing is read: the kernel's buffers fill, and a sender over a stream waits.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional

from homeostasis_collect_logs.listening.conversations import Conversation, conversation
from homeostasis_collect_logs.listening.datagrams import Datagrams
from homeostasis_collect_logs.listening.framing import BadFrame
from homeostasis_collect_logs.listening.gelf import Chunks
from homeostasis_collect_logs.listening.sockets import bound, keep_alive, peer_name, tls_context

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis_collect_logs.listening.addresses import Address
    from homeostasis_collect_logs.listening.intake import Intake
    from homeostasis_collect_logs.settings import CollectLogsSettings

READ_AT_ONCE = 65_536
READS_A_TURN = 8
"""Reads of one connection before the others have their turn."""
MAX_HELD = 64 * 1024 * 1024
"""Bytes of messages that have not ended, of all connections together."""
MAX_UNSENT = 65_536
"""Bytes of answers that a client may leave unread."""
UNFINISHED = "message that was not finished in time"
CUT = "message that the connection ended in"
REFUSED = "connection beyond max_connections"
MALFORMED = "connection that did not keep to its protocol"
CROWDED = "connection closed because unfinished messages took too much memory"
UNREAD = "connection closed because the client did not read its answers"
NO_TLS = "connection that came to no TLS"


@dataclass
class _Door:
    socket: socket.socket
    intake: Intake
    address: Address


@dataclass
class _Connection:
    socket: socket.socket
    intake: Intake
    talk: Conversation
    begun: Optional[float]
    """When what is not finished yet has begun: a message, or the handshake."""
    shaken: bool = True
    unsent: bytes = b""


class Reception:
    """Opens the sockets; use it as a context.

    Args:
        intakes: by address.
        key: shared key of Fluentd's forward protocol.
        acknowledged: chunks that were acknowledged before.
    """

    def __init__(
        self,
        project: Project,
        settings: CollectLogsSettings,
        intakes: Dict[Address, Intake],
        key: Optional[str],
        acknowledged: Dict[object, None],
    ) -> None:
        self._settings = settings
        self._key = key
        self._acknowledged = acknowledged
        self._intakes = intakes
        self._selector = selectors.DefaultSelector()
        self._connections: List[_Connection] = []
        self._paths: List[str] = []
        self._held = 0
        self._checked = 0.0
        self._tls = tls_context(project, settings) if any(each.transport == "tls" for each in intakes) else None
        self.bound: Dict[Address, socket.socket] = {}

    def __enter__(self) -> Reception:
        try:
            for address, intake in self._intakes.items():
                self._open(address, intake)
        except BaseException:
            self._close_all()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close_all()

    def turn(self, timeout: float, now: float) -> None:
        """Read what is there, after waiting for it up to `timeout` seconds; `now` is a monotonic time."""
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, Datagrams):
                key.data.receive(now)
            elif isinstance(key.data, _Door):
                self._accept(key.data, now)
            else:
                self._serve(key.data, now)
        if now - self._checked >= 1.0:
            self._checked = now
            self._check(now)

    def acknowledge(self) -> None:
        """Answer what is durable."""
        for connection in list(self._connections):
            answer = connection.talk.due()
            if answer:
                self._say(connection, answer)

    def _open(self, address: Address, intake: Intake) -> None:
        made = bound(address)
        self.bound[address] = made
        if address.transport == "unix":
            self._paths.append(address.path)
        if address.is_datagram:
            chunks = Chunks(self._settings.max_line_bytes) if address.protocol == "gelf" else None
            self._selector.register(made, selectors.EVENT_READ, Datagrams(made, intake, chunks))
        else:
            self._selector.register(made, selectors.EVENT_READ, _Door(made, intake, address))

    def _close_all(self) -> None:
        for connection in list(self._connections):
            self._close(connection)
        for made in self.bound.values():
            made.close()
        self._selector.close()
        for path in self._paths:
            with suppress(OSError):
                Path(path).unlink()

    def _accept(self, door: _Door, now: float) -> None:
        try:
            accepted, sender = door.socket.accept()
        except OSError:  # it went away again, or there are no descriptors left
            return
        if len(self._connections) >= self._settings.max_connections:
            accepted.close()
            door.intake.lose(REFUSED)
            return
        shaken = door.address.transport != "tls"
        try:
            accepted.setblocking(False)
            keep_alive(accepted)
            if not shaken and self._tls is not None:
                accepted = self._tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        except OSError:  # the client is gone
            accepted.close()
            door.intake.lose(NO_TLS, int(not shaken))
            return
        talk = conversation(
            door.address.protocol,
            door.intake,
            peer_name(sender) or f"unix:{accepted.fileno()}",
            limit=self._settings.max_line_bytes,
            chunk_limit=self._settings.max_chunk_bytes,
            key=self._key,
            acknowledged=self._acknowledged,
        )
        connection = _Connection(accepted, door.intake, talk, None if shaken and not talk.held else now, shaken)
        self._connections.append(connection)
        self._held += talk.held
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        if shaken and talk.greeting():
            self._say(connection, talk.greeting())

    def _serve(self, connection: _Connection, now: float) -> None:
        try:
            if not connection.shaken:
                self._shake_hands(connection, now)
                return
            self._flush(connection)
            self._read(connection, now)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return
        except ssl.SSLError:
            self._close(connection, None if connection.shaken else NO_TLS)
        except OSError:
            self._close(connection, CUT if connection.talk.held else None)

    def _shake_hands(self, connection: _Connection, now: float) -> None:
        tls = connection.socket
        if isinstance(tls, ssl.SSLSocket):
            tls.do_handshake()
        connection.shaken = True
        connection.begun = now if connection.talk.held else None
        greeting = connection.talk.greeting()
        if greeting:
            self._say(connection, greeting)

    def _read(self, connection: _Connection, now: float) -> None:
        reads = 0
        while reads < READS_A_TURN or _unpacked(connection.socket):
            reads += 1
            data = connection.socket.recv(READ_AT_ONCE)
            if not data:
                self._close(connection, CUT if connection.talk.held else None)
                return
            if not self._take(connection, data, now):
                return

    def _take(self, connection: _Connection, data: bytes, now: float) -> bool:
        """Whether the connection is still there after it took the bytes."""
        talk = connection.talk
        before, completed = talk.held, talk.completed
        try:
            answer = talk.feed(data, now)
        except BadFrame:
            self._held -= before
            self._drop(connection, MALFORMED)
            return False
        held = talk.held
        self._held += held - before
        if held == 0:
            connection.begun = None
        elif connection.begun is None or talk.completed != completed:
            connection.begun = now
        if self._held > MAX_HELD:
            self._close(connection, CROWDED)
            return False
        return not answer or self._say(connection, answer)

    def _say(self, connection: _Connection, data: bytes) -> bool:
        """Whether the connection is still there after it was to send something."""
        connection.unsent += data
        try:
            self._flush(connection)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError:
            self._close(connection)
            return False
        if len(connection.unsent) > MAX_UNSENT:
            self._close(connection, UNREAD)
            return False
        return True

    def _flush(self, connection: _Connection) -> None:
        try:
            while connection.unsent:
                connection.unsent = connection.unsent[connection.socket.send(connection.unsent) :]
        finally:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
            if self._selector.get_key(connection.socket).events != wanted:
                self._selector.modify(connection.socket, wanted, connection)

    def _check(self, now: float) -> None:
        for connection in list(self._connections):
            if connection.begun is not None and now - connection.begun > self._settings.read_seconds:
                self._close(connection, UNFINISHED if connection.shaken else NO_TLS)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Datagrams):
                key.data.expire(now)

    def _close(self, connection: _Connection, reason: Optional[str] = None) -> None:
        self._held -= connection.talk.held
        self._drop(connection, reason)

    def _drop(self, connection: _Connection, reason: Optional[str]) -> None:
        if reason is not None:
            connection.intake.lose(reason)
        self._selector.unregister(connection.socket)
        self._connections.remove(connection)
        connection.socket.close()


def _unpacked(source: socket.socket) -> bool:
    """Whether TLS has unpacked something already: that makes no socket readable again."""
    return isinstance(source, ssl.SSLSocket) and source.pending() > 0
