"""The command line `homeostasis`. `main` is its only way in; each command is a module of its own."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Optional, Sequence

from homeostasis import __version__

_NEEDED = ("typer", "rich", "pluggy", "stevedore", "pydantic", "libcst", "opentelemetry", "sqlalchemy", "watchfiles")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command and return the exit status: 0 done, 1 nothing healed, 2 usage or configuration, 3 our failure.

    Args:
        arguments: the words after `homeostasis`; by default those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an error message of the app must not break ours
    if words in (["--version"], ["-V"]):
        print(f"homeostasis {__version__}")
        return 0
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"homeostasis: only the in-app monitoring is installed here ({', '.join(missing)} missing); for the "
            f"command line run:\n  {sys.executable} -m pip install 'homeostasis-core[orchestrator]'\n"
        )
        return 2
    from homeostasis.cli.app import invoke

    return invoke(words)
