"""Limits, and children that have ended. The launcher imports this too, on the orchestrator's interpreter."""

from __future__ import annotations

import os
import resource
from typing import Mapping, Optional


def limit(limits: Mapping[str, int]) -> None:
    """Set resource limits by their names in `resource`; one that cannot be raised is strict already."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def reap(main_child: int) -> Optional[int]:
    """Collect the children that have ended; the wait status of the main one if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == main_child:
            found = status
