"""The door through which the orchestrator reaches a worker: one daemon thread that waits on a unix socket.

It handles one authenticated request at a time (see `homeostasis.monitoring.channel`) and sleeps in `accept` otherwise.
Requests are JSON objects; `do` is one of

    ping                        -> {ok, pid, python, releases}
    swap   {release, files}     -> {ok, functions, modules, already}; files: [{path, before_sha256, before, after}];
                                   a release of null is not remembered
    undo   {release}            -> {ok, known, functions}
    verify {files}              -> {ok, runs}: whether the worker runs `after` of the files
    status                      -> the same as ping
    crashes {release}           -> {ok, crashes, last}: of the functions that the release changed, since its swap
    traffic                     -> {ok, routes}: see `homeostasis.monitoring.traffic.Traffic.totals`

`path` is relative to the project root, the bytes are base64. A request that cannot be carried out is answered with
{ok: false, refused: a sentence}; nothing was changed then. A swap whose answer nobody takes is undone: who asked for it
has given up, and believes that it did not happen.
"""

from __future__ import annotations

import atexit
import base64
import binascii
import contextlib
import hashlib
import os
import platform
import secrets
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from homeostasis.monitoring import active, canary, catching_up, hotswap
from homeostasis.monitoring.channel import (
    NONCE_BYTES,
    ChannelError,
    Seal,
    load_key,
    peer_uid,
    private_directory,
    receive_exactly,
)
from homeostasis.monitoring.internal import failed

_LONGEST_PATH = 100
"""Bytes of a socket's path that every system takes (Linux 108, macOS 104, with the final zero)."""
_PATIENCE = 10.0
"""Seconds of silence after which a connection is dropped, so that a stalled peer does not block the others."""

_server: Server | None = None
_lock = threading.Lock()


def start(project_root: str, pid: int) -> str | None:
    """Listen for the orchestrator in this process; call it again after a fork.

    Args:
        project_root: absolute path of the project.
        pid: of this process; names the socket.

    Returns:
        The path of the socket, or None if the system has none or the state directory cannot be trusted.
    """
    global _server
    if not hasattr(socket, "AF_UNIX"):
        return None
    with _lock:
        if _server is not None and _server.pid == pid and _server.root == project_root:
            return _server.path
        try:
            server = Server(project_root, pid)
        except (ChannelError, OSError) as error:
            failed("opening the control socket", error)
            return None
        if _server is not None:
            _server.close()
        else:
            atexit.register(stop)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_forget)
        _server = server
        return server.path


def stop() -> None:
    """Stop listening and remove the socket."""
    global _server
    with _lock:
        server, _server = _server, None
        if server is not None:
            server.close()


def _forget() -> None:
    # In a forked child the socket and the lock are the parent's: close our copy, and leave its file alone.
    global _lock
    _lock = threading.Lock()
    if _server is not None:
        _server.forget()


class Server:
    """Listens from its creation until `close`.

    Raises:
        ChannelError: the directory or key cannot be trusted.
        OSError: the socket cannot be made.
    """

    def __init__(self, project_root: str, pid: int) -> None:
        self.root = project_root
        self.pid = pid
        self._state = private_directory(Path(project_root) / ".homeostasis")
        _ignore_in_git(self._state)
        load_key(self._state)
        self._temporary: str | None = None
        self.path = self._choose_path()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(self.path)
            Path(self.path).chmod(0o600)
            self._socket.listen(8)
        except OSError:
            self._socket.close()
            raise
        self._closed = False
        threading.Thread(target=self._serve, name="homeostasis-control", daemon=True).start()
        catching_up.start(project_root, self._state, _changes, lambda: self._closed)

    def _choose_path(self) -> str:
        directory = private_directory(self._state / "control")
        _sweep(directory)
        path = directory / f"{self.pid}.sock"
        if len(os.fsencode(str(path))) > _LONGEST_PATH:
            self._temporary = tempfile.mkdtemp(prefix="homeostasis-")  # mode 0700
            return str(Path(self._temporary) / "control.sock")
        if path.exists() or path.is_symlink():
            path.unlink()  # left behind by a killed process that had our number
        return str(path)

    def close(self) -> None:
        """Stop listening, and remove the socket if this process made it."""
        if self._closed:
            return
        self._closed = True
        if self.pid == os.getpid():
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
            with contextlib.suppress(OSError):
                Path(self.path).unlink()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)
        self._socket.close()

    def forget(self) -> None:
        """Close this process's copy of a socket that belongs to its parent."""
        self._closed = True
        self._socket.close()

    def _serve(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                with connection:
                    connection.settimeout(_PATIENCE)
                    self._converse(connection)
            except (ChannelError, OSError):
                pass  # a stranger, or a peer that went away: it learns nothing
            except Exception as error:
                failed("answering the orchestrator", error)

    def _converse(self, connection: socket.socket) -> None:
        uid = peer_uid(connection)
        if uid is not None and uid not in (os.geteuid(), 0):
            return
        key = load_key(self._state)  # read anew: the owner may have replaced it
        nonce = secrets.token_bytes(NONCE_BYTES)
        connection.sendall(nonce)
        seal = Seal(key, nonce, receive_exactly(connection, NONCE_BYTES))
        request = seal.receive(connection, b"request")
        said = answer(request, self.root)
        try:
            seal.send(connection, b"answer", said)
        except OSError:
            if request.get("do") == "swap" and said["ok"] and not said["already"]:
                hotswap.undo(str(request.get("release")))
            raise


def answer(request: dict[str, Any], root: str) -> dict[str, Any]:
    """Carry out one authenticated request."""
    try:
        return {"ok": True, "pid": os.getpid(), **_carry_out(request, root)}
    except hotswap.Refused as refusal:
        return {"ok": False, "pid": os.getpid(), "refused": str(refusal)}
    except Exception as error:  # the orchestrator must hear of it, and the app must not
        reason = f"the worker failed with {type(error).__name__}: {error}"
        return {"ok": False, "pid": os.getpid(), "refused": reason[:2000]}


def _carry_out(request: dict[str, Any], root: str) -> dict[str, Any]:
    do = request.get("do")
    if do in ("ping", "status"):
        return {"python": platform.python_version(), "releases": hotswap.releases()}
    if do == "swap":
        release = None if request.get("release", "") is None else _text(request, "release")
        return hotswap.swap(release, _changes(request, root))
    if do == "undo":
        return hotswap.undo(_text(request, "release"))
    if do == "crashes":
        return canary.report(_text(request, "release"))
    if do == "traffic":
        client = active.current()
        return {"routes": {} if client is None else client.traffic.totals()}
    if do == "verify":
        return {"runs": hotswap.runs(_changes(request, root))}
    raise hotswap.Refused(f"this worker does not know the request {str(do)[:40]!r}: update homeostasis-core in the app")


def _text(request: dict[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise hotswap.Refused(f"the request has no {name}")
    return value


def _changes(request: dict[str, Any], root: str) -> list[hotswap.FileChange]:
    files = request.get("files")
    if not isinstance(files, list) or not files:
        raise hotswap.Refused("the request has no files")
    return [_change(entry, root) for entry in files]


def _change(entry: Any, root: str) -> hotswap.FileChange:
    try:
        relative = Path(str(entry["path"]))
        before = None if entry["before"] is None else base64.b64decode(entry["before"], validate=True)
        after = base64.b64decode(entry["after"], validate=True)
        digest = entry["before_sha256"]
    except (TypeError, KeyError, binascii.Error, ValueError) as error:
        raise hotswap.Refused("a file of the request is malformed") from error
    if relative.is_absolute() or ".." in relative.parts:
        raise hotswap.Refused(f"{relative} does not lie in the project")
    if before is not None and hashlib.sha256(before).hexdigest() != digest:
        raise hotswap.Refused(f"{relative}: the old text does not have the announced hash")
    real = os.path.realpath(str(Path(root) / relative))
    if os.path.commonpath([real, os.path.realpath(root)]) != os.path.realpath(root):
        raise hotswap.Refused(f"{relative} does not lie in the project")
    return hotswap.FileChange(real, before, after)


def _ignore_in_git(state: Path) -> None:
    ignore = state / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def _sweep(directory: Path) -> None:
    """Remove the sockets of processes that were killed."""
    for path in directory.glob("*.sock"):
        try:
            os.kill(int(path.stem), 0)
        except ProcessLookupError:
            path.unlink()
        except (ValueError, OSError):
            continue
