"""Sees the exceptions that are logged: through `logging`, and through structlog and loguru, which may bypass it."""

from __future__ import annotations

import sys
from functools import wraps
from types import FunctionType, ModuleType
from typing import Any

from homeostasis.autostart.escapes import logged
from homeostasis.autostart.imports import when_imported

_LEVELS = {"critical": 50, "fatal": 50, "exception": 40, "error": 40, "warning": 30, "warn": 30, "info": 20}
"""By the method of a structlog logger; any other counts as `debug`."""
_DEBUG = 10
_LOGURU = ("self", "level", "from_decorator", "options", "message", "args", "kwargs")


def watch() -> None:
    """Watch the loggers that this process uses, now or later."""
    when_imported("logging", _watch_logging)
    when_imported("structlog._base", _watch_structlog)
    when_imported("loguru._logger", _watch_loguru)


def _watch_logging(logging: ModuleType) -> None:
    # Not a handler on the root logger: one there keeps logging.basicConfig and Flask from installing theirs, and does
    # not see loggers that do not propagate.
    before = logging.Logger.callHandlers

    def homeostasis_call_handlers(self: Any, record: Any) -> None:
        if record.exc_info:
            logged(_error_in(record.exc_info), record.levelno, record.name)
        before(self, record)

    logging.Logger.callHandlers = homeostasis_call_handlers


def _watch_structlog(base: ModuleType) -> None:
    # Its processors often turn the exception into text before `logging` gets the record, if `logging` gets it at all.
    cls: Any = base.BoundLoggerBase
    before = cls._process_event

    @wraps(before)
    def _process_event(self: Any, method_name: str, event: Any, event_kw: Any) -> Any:
        found = event_kw.get("exc_info")
        if found or (found is None and method_name == "exception"):
            logged(_error_in(found or True), _LEVELS.get(method_name, _DEBUG), "structlog")
        return before(self, method_name, event, event_kw)

    cls._process_event = _process_event


def _watch_loguru(module: ModuleType) -> None:
    cls: Any = getattr(module, "Logger", None)
    before = getattr(cls, "_log", None)
    if not isinstance(before, FunctionType) or before.__code__.co_varnames[: len(_LOGURU)] != _LOGURU:
        from homeostasis.monitoring.internal import warn

        warn(
            "homeostasis does not see the exceptions that loguru logs: its inside is not that of the versions it knows"
        )
        return

    @wraps(before)
    def _log(self: Any, level: Any, from_decorator: Any, options: Any, *rest: Any) -> Any:
        if options[0]:
            number = level if isinstance(level, int) else self.level(level).no
            logged(_error_in(options[0]), number, "loguru")
        # It names the caller by the depth of the stack, which this function adds one to.
        return before(self, level, from_decorator, (options[0], options[1] + 1, *options[2:]), *rest)

    cls._log = _log


def _error_in(exc_info: Any) -> Any:
    """The exception in what loggers take as `exc_info`: True, an exception, or a tuple."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 else None
    return sys.exc_info()[1]
