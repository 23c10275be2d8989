"""Monitoring without a change to the app: what `homeostasis run -- COMMAND` starts in each Python process of the app.

`sitecustomize` of the injection directory calls `run()` if `HOMEOSTASIS_INJECT` is true. Nothing of the monitoring is
imported then. That happens when there is something to do: a Flask, Starlette or FastAPI app is made, which is then
monitored as if it had called `setup_monitoring(app)`, a server takes any other app, or an exception escapes or is
logged.
"""

from __future__ import annotations

import os
from typing import Any

INJECT = "HOMEOSTASIS_INJECT"
TRUE = ("1", "true", "yes", "on")


def run() -> None:
    """Wait for apps and for exceptions, if `HOMEOSTASIS_INJECT` is true. Call it once, at the start of the process."""
    if os.environ.get(INJECT, "").strip().lower() not in TRUE:
        return
    from homeostasis.autostart import apps, escapes

    escapes.watch("monitoring", escapes.Listener(_uncaught, _logged))
    apps.watch()


def _uncaught(error: BaseException) -> None:
    _begin().uncaught(error)


def _logged(error: BaseException, level: int, logger: str) -> None:
    _begin().logged(error, level, logger)


def _begin() -> Any:
    """Set the monitoring up; its own listener takes the place of this one."""
    from homeostasis.monitoring import hooks, setup_monitoring

    setup_monitoring()
    return hooks
