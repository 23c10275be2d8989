"""Reads the part of a small request body that a crashed app left, where a slow client cannot hold up the app.

Without it, a request whose view crashed before it looked at the body could not be sent again.
"""

from __future__ import annotations

import io
import time
from typing import Any, Mapping

from homeostasis.monitoring.request import BodyRecorder

WAIT_SECONDS = 0.05
"""Longest wait for bytes that the client has announced; usually they are in the server's buffer already."""
_SOCKETS = ("gunicorn.socket", "werkzeug.socket")


def read_rest(environ: Mapping[str, Any], recorder: BodyRecorder | None) -> None:
    """Read on, through the recorder, if the body is small and reading cannot block; else mark it as cut off."""
    stream = environ.get("wsgi.input")
    length = str(environ.get("CONTENT_LENGTH") or "")
    if recorder is None or recorder.truncated or stream is None or not length.isdigit():
        return
    missing = int(length) - len(recorder.content)
    if missing <= 0:
        return
    if missing > recorder.left:
        recorder.truncated = True
        return
    if type(getattr(stream, "_stream", None)) is io.BytesIO:
        stream.read(missing)
        return
    sockets = [environ[key] for key in _SOCKETS if hasattr(environ.get(key), "settimeout")]
    if not sockets or not _read_in_time(stream, missing, sockets[0]):
        recorder.truncated = True


def _read_in_time(stream: Any, missing: int, connection: Any) -> bool:
    before = connection.gettimeout()
    deadline = time.monotonic() + WAIT_SECONDS
    try:
        connection.settimeout(WAIT_SECONDS)
        while missing > 0 and time.monotonic() < deadline:
            chunk = stream.read(missing)
            if not chunk:
                return False
            missing -= len(chunk)
        return missing <= 0
    except OSError:  # timed out, or the client is gone
        return False
    finally:
        connection.settimeout(before)
