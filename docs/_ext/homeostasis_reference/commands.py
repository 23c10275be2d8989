"""The command line, from the objects that typer makes of it."""

from __future__ import annotations

import inspect
from typing import Any, Iterator

import typer.main

from homeostasis.cli.app import build
from homeostasis.plugins import discover
from homeostasis_reference.markdown import code, label, table

INTRODUCTION = """\
# Commands

Every command exits with 0 when it did what it says, 1 when there was nothing to be had, 2 when it was called or
configured wrongly, and 3 when we failed. See [exit codes and JSON](../json.md).
"""


def commands() -> Iterator[tuple[str, Any]]:
    """All commands with their full name, such as `homeostasis rules list`."""
    app = build()
    for found in discover():
        register: Any = getattr(found.load(), "homeostasis_register_cli", None)
        if register is not None:
            register(app=app)
    yield from _walk("homeostasis", typer.main.get_command(app))


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield name, command
        return
    for child, nested in children.items():
        if not nested.hidden:
            yield from _walk(f"{name} {child}", nested)


def commands_page() -> str:
    """The page."""
    parts = [INTRODUCTION]
    for name, command in commands():
        parts += [label("command", name), f"## {name}\n", inspect.cleandoc(command.help or "") + "\n"]
        parts.append(code(f"{name} {_usage(command)}".strip(), "text"))
        options = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        if options:
            parts.append(table(("argument or option", "meaning"), ((_names(each), _meaning(each)) for each in options)))
    return "\n".join(parts)


def _usage(command: Any) -> str:
    arguments = [_names(each).strip("`") for each in command.params if each.param_type_name == "argument"]
    return " ".join(["[OPTIONS]", *arguments])


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or (parameter.name or '').upper()}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _meaning(parameter: Any) -> str:
    return " ".join((getattr(parameter, "help", None) or "").split())
