"""The authenticated local channel between the orchestrator and the workers of an app.

A worker listens on a unix socket in a directory that only its user may enter, and checks the peer's user id where the
system tells it. One connection carries one request. The worker speaks first::

    worker        nonce, 32 bytes
    orchestrator  nonce, 32 bytes; then a sealed request
    worker        a sealed answer

A sealed message is its length (4 bytes, big-endian), the HMAC-SHA256 over direction, both nonces and the body, and the
body: one JSON object. The key lies in `<project>/.homeostasis/control.key`, readable by its owner only; whoever needs
it first makes it. Both directions are sealed, so neither side talks to a stranger, and no message can be played again.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import socket
import stat
import struct
import tempfile
from pathlib import Path
from typing import Any

MAX_MESSAGE = 64 * 1024 * 1024
"""Longest body in bytes: old and new text of several files of two megabytes each."""
KEY_FILE = "control.key"
NONCE_BYTES = 32
_MAC_BYTES = 32
_LENGTH = struct.Struct(">I")


class ChannelError(Exception):
    """The other side cannot be reached or trusted; the message says why."""


def private_directory(path: Path) -> Path:
    """Make a directory that only this user may enter, or check one that exists.

    Raises:
        ChannelError: it is a link, belongs to somebody else or cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise ChannelError(f"{path} is not a directory: remove it")
        if not trusted(found.st_uid):
            raise ChannelError(f"{path} belongs to user {found.st_uid}: run the app and the orchestrator as one user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise ChannelError(f"{path} cannot be used: {error.strerror}") from error
    return path


def trusted(uid: int) -> bool:
    """Whether what belongs to a user id may be believed: it is our own, or root's, or we are root ourselves."""
    own = os.geteuid()
    return own == 0 or uid in (own, 0)


def load_key(state: Path) -> bytes:
    """The key of a project, made if there is none; of several that make one at the same time, one wins.

    Args:
        state: the directory `.homeostasis/` of the project.

    Raises:
        ChannelError: the file is readable by others, belongs to somebody else, is damaged or cannot be made.
    """
    path = state / KEY_FILE
    try:
        if not path.exists():
            _make_key(state, path)
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(handle, "rb") as stream:
            found = os.fstat(stream.fileno())
            content = stream.read(1024)
    except OSError as error:
        raise ChannelError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077 or not trusted(found.st_uid):
        raise ChannelError(f"{path} must be a file that its owner alone may read: delete it, and restart the app")
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ChannelError(f"{path} holds no key: delete it, and restart the app")
    return key


def _make_key(state: Path, path: Path) -> None:
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=str(state), prefix=f".{KEY_FILE}.")  # mkstemp makes files of mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, str(path))  # fails if the other side was first; a rename would replace its key
    finally:
        temporary.unlink()


class Seal:
    """Seals and opens the messages of one connection."""

    def __init__(self, key: bytes, worker_nonce: bytes, orchestrator_nonce: bytes) -> None:
        self._key = key
        self._nonces = worker_nonce + orchestrator_nonce

    def _mac(self, direction: bytes, body: bytes) -> bytes:
        return hmac.new(self._key, direction + self._nonces + body, hashlib.sha256).digest()

    def send(self, connection: socket.socket, direction: bytes, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            ChannelError: it is too long.
            OSError: the connection broke.
        """
        body = json.dumps(message).encode("ascii")
        if len(body) > MAX_MESSAGE:
            raise ChannelError(f"a message of {len(body)} bytes is longer than {MAX_MESSAGE}")
        connection.sendall(_LENGTH.pack(len(body)) + self._mac(direction, body) + body)

    def receive(self, connection: socket.socket, direction: bytes) -> dict[str, Any]:
        """Receive one message; nothing of it is looked at before the seal was checked.

        Raises:
            ChannelError: it is too long, not sealed with our key, cut short or no JSON object.
            OSError: the connection broke or was silent for too long.
        """
        (length,) = _LENGTH.unpack(receive_exactly(connection, _LENGTH.size))
        if length > MAX_MESSAGE:
            raise ChannelError(f"a message of {length} bytes is longer than {MAX_MESSAGE}")
        mac = receive_exactly(connection, _MAC_BYTES)
        body = receive_exactly(connection, length)
        if not hmac.compare_digest(mac, self._mac(direction, body)):
            raise ChannelError("a message was not sealed with the key of this project")
        try:
            message = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ChannelError("a message is not JSON") from error
        if not isinstance(message, dict):
            raise ChannelError("a message is not a JSON object")
        return message


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Receive `count` bytes.

    Raises:
        ChannelError: the other side closed the connection before.
    """
    parts: list[bytes] = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise ChannelError("the other side closed the connection")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def peer_uid(connection: socket.socket) -> int | None:
    """The user id of the other side of a unix socket, or None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    credentials = struct.Struct("3i")
    _pid, uid, _gid = credentials.unpack(connection.getsockopt(socket.SOL_SOCKET, option, credentials.size))
    return int(uid)


def call(path: str, key: bytes, request: dict[str, Any], timeout: float = 10.0) -> dict[str, Any]:
    """Send one request to a worker and return its answer.

    Args:
        path: the worker's socket.
        key: see `load_key`.
        request: JSON values; `do` names what to do.
        timeout: seconds of silence that are borne.

    Raises:
        ChannelError: the worker cannot be reached, is somebody else or does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            uid = peer_uid(connection)
            if uid is not None and not trusted(uid):
                raise ChannelError(f"{path} is served by user {uid}, not by us")
            worker_nonce = receive_exactly(connection, NONCE_BYTES)
            own_nonce = secrets.token_bytes(NONCE_BYTES)
            connection.sendall(own_nonce)
            seal = Seal(key, worker_nonce, own_nonce)
            seal.send(connection, b"request", request)
            return seal.receive(connection, b"answer")
    except socket.timeout as error:
        raise ChannelError(f"{path} did not answer within {timeout:g} s") from error
    except OSError as error:
        raise ChannelError(f"{path} cannot be reached: {error.strerror or error}") from error
