"""Homeostasis heals running Python services, and everything it does is done by plugins.

This page is the plugin author's tutorial. A plugin is a module with functions named like the hooks in
`homeostasis.hookspecs`, in a package that publishes the module as an entry point::

    # pyproject.toml
    [project]
    name = "homeostasis-todo-guard"
    dependencies = ["homeostasis-core[orchestrator]"]

    [project.entry-points.homeostasis]
    todo-guard = "homeostasis_todo_guard.plugin"

The smallest plugin that does something: a validator that vetoes a patch which brings a TODO along::

    # homeostasis_todo_guard/plugin.py
    from homeostasis import hookimpl
    from homeostasis.models import Check, Outcome

    @hookimpl
    def homeostasis_validate(patch):
        found = any(b"TODO" in edit.after and b"TODO" not in (edit.before or b"") for edit in patch.edits)
        outcome = Outcome.REJECTED if found else Outcome.ACCEPTED
        return Check(name="todo-guard", outcome=outcome, detail="looked for a new TODO")

Installing a plugin does not enable it, because this tool rewrites and ships code. The project's owner does::

    # the app's pyproject.toml
    [tool.homeostasis]
    plugins = ["spool", "rules-python", "sandbox-venv", "reproduction", "git-branch", "todo-guard"]

`homeostasis plugins` then shows it with its hooks, or says why it was refused. `homeostasis.testing` holds the
fixtures and the conformance suites that prove a plugin; `template/` in the repository is a package to start from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeostasis.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded on demand: `import homeostasis.monitoring` runs inside apps that have neither pluggy nor pydantic.
    if name == "hookimpl":
        from homeostasis.hookspecs import hookimpl

        return hookimpl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
