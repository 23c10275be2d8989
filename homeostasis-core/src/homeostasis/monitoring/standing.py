"""Releases that no file holds: written down for workers that start later, who would load the old text.

Each lies in `<project>/.homeostasis/hotswap/`, as one line with an HMAC-SHA256 under the project's control key and one
line of JSON: `release`, and `files` as the control socket takes them. The names of the files sort in the order in which
the releases were made. Who cannot seal a request to a worker cannot write one here either.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator

from homeostasis.monitoring.channel import MAX_MESSAGE, load_key, private_directory, trusted

_DIRECTORY = "hotswap"
_PURPOSE = b"standing"


def save(state: Path, release: str, files: list[dict[str, Any]]) -> None:
    """Write a release down, after all others; one that is there already stays as it is.

    Args:
        state: the directory `.homeostasis/` of the project.
        release: its name.
        files: as the request `swap` takes them.

    Raises:
        ChannelError: the directory or the key cannot be trusted.
        OSError: it cannot be written.
    """
    directory = private_directory(state / _DIRECTORY)
    if list(directory.glob(f"*-{_digest(release)}.json")):
        return
    body = json.dumps({"release": release, "files": files}).encode("ascii")
    handle, name = tempfile.mkstemp(dir=str(directory), prefix=".")  # mkstemp makes files of mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_seal(load_key(state), body).encode("ascii") + b"\n" + body + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, str(directory / f"{time.time_ns():020d}-{_digest(release)}.json"))
    except BaseException:
        Path(name).unlink()
        raise


def remove(state: Path, release: str) -> None:
    """Forget a release; one that is not there is fine.

    Raises:
        OSError: it cannot be deleted.
    """
    for path in (state / _DIRECTORY).glob(f"*-{_digest(release)}.json"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def load(state: Path) -> list[dict[str, Any]]:
    """All releases that are written down, the oldest first. What is damaged or not sealed is passed over.

    Raises:
        ChannelError: the key cannot be trusted.
    """
    paths = sorted((state / _DIRECTORY).glob("[0-9]*.json"))
    return list(_read_all(paths, load_key(state))) if paths else []


def _read_all(paths: list[Path], key: bytes) -> Iterator[dict[str, Any]]:
    for path in paths:
        try:
            found = path.lstat()
            if path.is_symlink() or not trusted(found.st_uid) or found.st_size > MAX_MESSAGE:
                continue
            seal, _, body = path.read_bytes().partition(b"\n")
            if hmac.compare_digest(seal, _seal(key, body.rstrip(b"\n")).encode("ascii")):
                yield json.loads(body.decode("ascii"))
        except (OSError, ValueError):
            continue


def _seal(key: bytes, body: bytes) -> str:
    return hmac.new(key, _PURPOSE + body, hashlib.sha256).hexdigest()


def _digest(release: str) -> str:
    return hashlib.sha256(release.encode("utf-8", "surrogatepass")).hexdigest()[:24]
