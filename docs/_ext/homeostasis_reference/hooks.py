"""The hooks, from `homeostasis.hookspecs`."""

from __future__ import annotations

import inspect

from homeostasis import hookspecs
from homeostasis.plugins.refusal import PREFIX
from homeostasis_reference.markdown import code, label


def hook_names() -> list[str]:
    """All hooks, in the order of the data flow."""
    return [name for name in vars(hookspecs) if name.startswith(PREFIX)]


def hooks_page() -> str:
    """The page."""
    parts = ["# Hooks\n", inspect.cleandoc(hookspecs.__doc__ or "") + "\n"]
    for name in hook_names():
        function = getattr(hookspecs, name)
        signature = str(inspect.signature(function)).replace("'", "")
        first_only = " The first plugin that returns something decides." if _is_first_result(function) else ""
        parts += [label("hook", name), f"## {name}\n", code(f"def {name}{signature}: ...", "python")]
        parts.append(inspect.cleandoc(function.__doc__ or "") + first_only + "\n")
    parts.append("# What hooks are given\n")
    for protocol in (hookspecs.Sink, hookspecs.Collector, hookspecs.Stop, hookspecs.Journal):
        parts += [f"## {protocol.__name__}\n", inspect.cleandoc(protocol.__doc__ or "") + "\n"]
        for name, method in vars(protocol).items():
            if inspect.isfunction(method) and not name.startswith("_"):
                signature = str(inspect.signature(method)).replace("'", "")
                parts.append(f"`{name}{signature}`\n: {' '.join((method.__doc__ or '').split())}\n")
    return "\n".join(parts).replace("Raises:\n", "Raises:\n\n")


def _is_first_result(function: object) -> bool:
    options = getattr(function, f"{hookspecs.NAMESPACE}_spec", None) or {}
    return bool(options.get("firstresult"))
