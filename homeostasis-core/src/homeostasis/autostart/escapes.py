"""Sees the exceptions that nobody catches in this process, and those that are logged.

Each hook calls the one that was there before. Modules that the process does not use are not imported for it.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from types import ModuleType
from typing import Any, Callable, NamedTuple

from homeostasis.autostart.imports import when_imported


class Listener(NamedTuple):
    """Who is told."""

    uncaught: Callable[[BaseException], object]
    """Of an exception that escaped from the process, a thread, a child process of `multiprocessing`, an event loop, or
    a place that cannot raise, such as `__del__`; and of a task that was garbage collected, as a `LostTask`."""
    logged: Callable[[BaseException, int, str], object] | None = None
    """Of a logged exception, with the record's level as `logging` counts it and the logger's name."""
    ending: Callable[[], object] | None = None
    """Before the process ends without running exit handlers: as a child of `multiprocessing`, or by `os._exit`."""
    replaced: Callable[[], object] | None = None
    """Before the process becomes another program (`os.exec...`), which may fail."""


_listeners: dict[str, Listener] = {}


def watch(name: str, listener: Listener) -> None:
    """Tell a listener from now on; it takes the place of an earlier one of the same name."""
    first = not _listeners
    _listeners[name] = listener
    if first:
        _watch_process()
        _watch_exits()
        when_imported("threading", _watch_threads)
        when_imported("asyncio.base_events", _watch_event_loops)
        when_imported("multiprocessing.process", _watch_processes)
        from homeostasis.autostart import loggers

        loggers.watch()


def uncaught(error: object) -> None:
    """Tell all listeners of an exception that escaped. Never raises."""
    if isinstance(error, BaseException):
        for listener in list(_listeners.values()):
            _call(listener.uncaught, error)


def logged(error: object, level: int, logger: str) -> None:
    """Tell all listeners of an exception that was logged. Never raises."""
    if isinstance(error, BaseException):
        for listener in list(_listeners.values()):
            _call(listener.logged, error, level, logger)


def _call(tell: Callable[..., object] | None, *arguments: object) -> None:
    if tell is None or sys.is_finalizing():
        return  # an interpreter that is being taken apart can import nothing any more
    try:
        tell(*arguments)
    except Exception as error:
        from homeostasis.monitoring.internal import failed

        failed("hearing of an exception", error)


def _watch_process() -> None:
    before = sys.excepthook

    def homeostasis_excepthook(kind: Any, error: Any, trace: Any) -> None:
        uncaught(error)
        before(kind, error, trace)

    sys.excepthook = homeostasis_excepthook
    unraisable = sys.unraisablehook

    def homeostasis_unraisablehook(arguments: Any) -> None:
        uncaught(arguments.exc_value)
        unraisable(arguments)

    sys.unraisablehook = homeostasis_unraisablehook


def _watch_exits() -> None:
    leave: Any = os._exit

    @wraps(leave)
    def _exit(*args: Any, **kwargs: Any) -> Any:
        for listener in list(_listeners.values()):
            _call(listener.ending)
        leave(*args, **kwargs)

    os._exit = _exit
    for name in ("execv", "execve"):  # the others call these two
        if hasattr(os, name):
            setattr(os, name, _telling(getattr(os, name)))


def _telling(become: Any) -> Any:
    @wraps(become)
    def homeostasis_exec(*args: Any, **kwargs: Any) -> Any:
        for listener in list(_listeners.values()):
            _call(listener.replaced)
        return become(*args, **kwargs)

    return homeostasis_exec


def _watch_threads(threading: ModuleType) -> None:
    before = threading.excepthook

    def homeostasis_threading_excepthook(arguments: Any) -> None:
        uncaught(arguments.exc_value)
        before(arguments)

    threading.excepthook = homeostasis_threading_excepthook  # type: ignore[attr-defined]


def _watch_event_loops(base_events: ModuleType) -> None:
    """Also where a loop has a handler of its own, which need not log."""
    loop: Any = base_events.BaseEventLoop
    before = loop.call_exception_handler

    @wraps(before)
    def call_exception_handler(self: Any, context: Any) -> Any:
        if isinstance(context, dict):
            error = context.get("exception")
            uncaught(error)
            if error is None and "task" in context:
                _lost(self, context)
        return before(self, context)

    loop.call_exception_handler = call_exception_handler


def _lost(loop: Any, told: Any) -> None:
    """Tell all listeners of a task that was garbage collected, in its context: that of whatever runs now is another."""
    if sys.is_finalizing():
        return
    try:
        from homeostasis.autostart.tasks import context_of, lost_task

        error = lost_task(loop, told)
        if error is not None:
            context_of(told["task"]).run(uncaught, error)
    except Exception as failure:
        from homeostasis.monitoring.internal import failed

        failed("hearing of a lost task", failure)


def _watch_processes(process: ModuleType) -> None:
    """A child of `multiprocessing` prints what escapes from it and ends without exit handlers."""
    cls: Any = process.BaseProcess
    before = cls._bootstrap

    @wraps(before)
    def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
        run = self.run

        def watched() -> None:
            try:
                run()
            except BaseException as error:
                uncaught(error)
                raise
            finally:
                for listener in list(_listeners.values()):
                    _call(listener.ending)

        self.run = watched
        return before(self, *args, **kwargs)

    cls._bootstrap = _bootstrap
