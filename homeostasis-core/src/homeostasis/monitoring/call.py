"""Make a recorded call again, with the arguments that can be rebuilt from their recorded text."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeostasis.monitoring.witness import Witness

MAX_RETURNED = 500
"""Characters of a returned value that are told."""


class Refusal(Exception):
    """The call cannot be made; the message says why, in a phrase."""


def call(question: dict[str, Any], witness: Witness) -> dict[str, Any]:
    """Import the module, rebuild the arguments, call, and await a coroutine.

    Args:
        question: `module`, `qualname` and `arguments`, a list of `[name, Value]` in the order of the parameters.
        witness: sees what is raised.

    Returns:
        `{"events": [...], "refusal": phrase or None, "returned": text or None}`; without events and refusal the call
        returned, and `returned` is its value if that reads back with `ast.literal_eval` and is short.
    """
    returned = None
    try:
        function = _resolve(question["module"], question["qualname"])
        positional, named = _bind(function, question["arguments"])
    except Refusal as refusal:
        return {"events": [], "refusal": str(refusal), "returned": None}
    try:
        returned = _literal(_finish(function(*positional, **named)))
    except Exception as error:
        witness.see(error)
    return {"events": witness.drain(), "refusal": None, "returned": returned}


def _resolve(module_name: str, qualname: str) -> Any:
    try:
        found: Any = importlib.import_module(module_name)
    except BaseException as error:
        raise Refusal(f"{module_name} cannot be imported ({type(error).__name__}: {error})"[:300]) from error
    for part in qualname.split("."):
        if part == "<locals>" or not hasattr(found, part):
            raise Refusal(f"{module_name}:{qualname} cannot be reached from the module")
        found = getattr(found, part)
    if not callable(found):
        raise Refusal(f"{module_name}:{qualname} cannot be called")
    return found


def _bind(function: Any, arguments: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    recorded = dict(arguments)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise Refusal("its signature cannot be read") from error
    for parameter in parameters:
        if parameter.name not in recorded:
            if parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                raise Refusal(f"argument {parameter.name!r} was not recorded")
            continue
        value = _rebuild(parameter.name, recorded[parameter.name])
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            named.update(value)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    return positional, named


def _rebuild(name: str, value: dict[str, Any]) -> Any:
    if value.get("redacted"):
        raise Refusal(f"argument {name!r} holds a secret that was not recorded")
    if not value.get("literal") or not isinstance(value.get("repr"), str):
        raise Refusal(f"argument {name!r}, a {value.get('type')}, cannot be rebuilt from its text")
    try:
        return ast.literal_eval(value["repr"])
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise Refusal(f"argument {name!r} cannot be rebuilt from its text") from error


def _finish(result: Any) -> Any:
    """What the call comes to: a coroutine's result, a generator's items."""
    if inspect.isawaitable(result):
        import asyncio

        async def wait() -> Any:
            return await result

        return asyncio.run(wait())
    return list(result) if inspect.isgenerator(result) else result


def _literal(value: Any) -> str | None:
    if type(value) not in (int, float, str, bool, bytes, list, dict, tuple, type(None)):
        return None
    try:
        text = repr(value)
        return text if len(text) <= MAX_RETURNED and bool(ast.literal_eval(text) == value) else None
    except Exception:
        return None
