"""Tells of asyncio tasks that the garbage collector took while they were waiting.

An event loop holds its tasks weakly. A task that nothing else refers to, and whose future nothing else refers to, can
vanish in the middle of its work; all that asyncio does then is to log a sentence.
"""

from __future__ import annotations

import sys
from contextvars import Context
from types import CodeType, FunctionType, TracebackType
from typing import Any, Mapping

from homeostasis.monitoring.sources import STANDS_FOR

MAX_STAND_INS = 256
"""Coroutines for which something stands in tracebacks."""
_VANISHED = "Task was destroyed but it is pending"


class LostTask(RuntimeError):
    """A task was garbage collected before it was done: the program holds no reference to it."""


def lost_task(loop: Any, context: Mapping[Any, Any]) -> LostTask | None:
    """The loss that a loop is told of, as an exception whose traceback leads to the task's coroutine.

    Tasks that are left over when their loop has ended are none: that is how programs end.

    Args:
        loop: the event loop, of `asyncio`.
        context: what its `call_exception_handler` is given.
    """
    message, task = context.get("message"), context.get("task")
    if type(message) is not str or not message.startswith(_VANISHED) or task is None or not loop.is_running():
        return None
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", None)
    error = LostTask(f"the task of {name} was garbage collected while it was pending" if name else _VANISHED)
    return error.with_traceback(_made_up(coroutine))


def context_of(task: Any) -> Context:
    """The context that a task ran in, of which Python tells from 3.12 on; below, an empty one."""
    get_context = getattr(task, "get_context", None)
    return Context() if get_context is None else get_context().copy()


def _made_up(coroutine: Any) -> TracebackType | None:
    """One entry, at the definition of the coroutine.

    Whether the collector has closed it already, and with it its frames, depends on chance; this is always the same.
    """
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    if not isinstance(code, CodeType):
        return None
    known = _stand_ins.get(id(code))
    if known is None:
        if len(_stand_ins) >= MAX_STAND_INS:
            _stand_ins.clear()
        known = _stand_ins[id(code)] = _stand_in(code), code
    try:
        known[0]()
    except ZeroDivisionError as error:
        entry = error.__traceback__ and error.__traceback__.tb_next
        return entry and TracebackType(None, entry.tb_frame, entry.tb_lasti, code.co_firstlineno)
    return None


_stand_ins: dict[int, tuple[FunctionType, CodeType]] = {}
"""By the id of a code: what fails in its place, and the code, so that its id stays its own."""


def _stand_in(code: CodeType) -> FunctionType:
    """A function that fails, with the name and the place of the code."""
    place: dict[str, Any] = {"co_name": code.co_name, "co_filename": code.co_filename}
    place["co_firstlineno"] = code.co_firstlineno
    if sys.version_info >= (3, 11):
        place.update(co_qualname=code.co_qualname, co_linetable=b"")  # else its columns would seem to be the file's
    names = {"__name__": _module_of(code.co_filename), STANDS_FOR: code}
    return FunctionType(_fail.__code__.replace(**place), names)


def _fail() -> None:
    0 / 0  # noqa: B018 - it has no name to look up


def _module_of(filename: str) -> str | None:
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == filename:
            return name
    return None
