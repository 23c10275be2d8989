"""gRPC, told that this process forks only to execute something else."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator

_VARIABLE = "GRPC_ENABLE_FORK_SUPPORT"


@contextmanager
def without_fork_handlers() -> Iterator[None]:
    """Import and begin gRPC within it: that is when it reads the variable, which no child of this process inherits.

    With its handlers gRPC stops all its threads at each fork, and complains on standard error when it cannot. The
    orchestrator starts programs all the time.
    """
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = "0"
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)
