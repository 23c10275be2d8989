"""Errors that are no incidents: answers that the app meant to give, clients that left, what the user excludes."""

from __future__ import annotations

import fnmatch

from homeostasis.monitoring.capture import is_group, members_of
from homeostasis.monitoring.classes import mro, type_name
from homeostasis.monitoring.config import Settings
from homeostasis.monitoring.frames import Boundary, entries, module_of
from homeostasis.monitoring.messages import own_attribute

# Ways of ending, clients that went away, and requests that a framework refuses as invalid.
_NEVER = frozenset(
    (
        "builtins.KeyboardInterrupt",
        "builtins.SystemExit",
        "builtins.GeneratorExit",
        "asyncio.exceptions.CancelledError",
        "concurrent.futures._base.CancelledError",
        "trio.Cancelled",
        "trio._core._exceptions.Cancelled",
        "starlette.requests.ClientDisconnect",
        "starlette.websockets.WebSocketDisconnect",
        "werkzeug.exceptions.ClientDisconnected",
        "uvicorn.protocols.utils.ClientDisconnected",
        "websockets.exceptions.ConnectionClosed",
        "fastapi.exceptions.RequestValidationError",
        "fastapi.exceptions.WebSocketRequestValidationError",
        "gunicorn.http.errors.NoMoreData",
    )
)
_HTTP = ("werkzeug.exceptions.HTTPException", "starlette.exceptions.HTTPException")


class Expected:
    """Decides which exceptions are not captured."""

    def __init__(self, settings: Settings, boundary: Boundary) -> None:
        self._types = settings.exclude_error_types
        self._modules = settings.exclude_modules
        self._not_found = settings.capture_404
        self._boundary = boundary
        self._verdicts: dict[int, tuple[bool, bool, type]] = {}

    def covers(self, error: BaseException) -> bool:
        """Whether the exception is left alone. An exception group is, if all its members are."""
        members = members_of(error) if is_group(type(error)) else ()
        if members:
            return all(self.covers(member) for member in members)
        excluded, http, _ = self._verdict(type(error))
        if excluded:
            return True
        if http:
            status = status_of(error)
            if status is not None and status < 500:
                return not (status == 404 and self._not_found)
        return bool(self._modules) and self._in_excluded_module(error)

    def is_steady(self, error: BaseException) -> bool:
        """Whether what is decided about it is decided about each of its class that comes on the same way."""
        return not self._verdict(type(error))[1]  # else the status decides

    def _verdict(self, cls: type) -> tuple[bool, bool, type]:
        verdict = self._verdicts.get(id(cls))
        if verdict is None:
            names = [type_name(base) for base in mro(cls)]
            dotted = [f"{module}.{name}" for module, name in names]
            excluded = not _NEVER.isdisjoint(dotted) or any(
                fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(full, pattern)
                for (_, name), full in zip(names, dotted)
                for pattern in self._types
            )
            verdict = (excluded, any(name in dotted for name in _HTTP), cls)
            if len(self._verdicts) < 1024:
                self._verdicts[id(cls)] = verdict  # it holds the class, so that the id stays the class's own
        return verdict

    def _in_excluded_module(self, error: BaseException) -> bool:
        found = entries(error.__traceback__)
        mine = [entry for entry in found if self._boundary.look(entry.code.co_filename)[0]]
        modules = {module_of(entry.frame) or "" for entry in [*found[-1:], *mine[-1:]]}
        return any(
            module == excluded or module.startswith(f"{excluded}.") or fnmatch.fnmatchcase(module, excluded)
            for module in modules
            for excluded in self._modules
        )


def status_of(error: BaseException) -> int | None:
    """The status code that an HTTP exception of a framework stands for."""
    for name in ("status_code", "code"):
        status = own_attribute(error, name)
        if type(status) is int:
            return status
    return None
