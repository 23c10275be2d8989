"""What happens when monitoring itself fails: it is counted and logged once, and the host never notices."""

from __future__ import annotations

import os

_counts: dict[tuple[str, str], int] = {}


def strict() -> bool:
    """Whether our own failures are raised, as in our tests (`HOMEOSTASIS_STRICT=1`)."""
    return os.environ.get("HOMEOSTASIS_STRICT") == "1"


def warn(message: str, *arguments: object) -> None:
    """Log a warning of ours."""
    import logging  # not with this module: an app that logs has it already, and for others it is half of our import

    logging.getLogger("homeostasis").warning(message, *arguments)


def failed(doing: str, error: BaseException) -> None:
    """Count a failure of ours and log the first of its kind. Call it in an `except` block.

    Args:
        doing: what was being done, such as `capturing an exception`.
        error: what went wrong.

    Raises:
        BaseException: the error itself, under `HOMEOSTASIS_STRICT=1`.
    """
    if strict():
        raise error
    try:
        kind = (doing, type(error).__name__)
        _counts[kind] = _counts.get(kind, 0) + 1
        if _counts[kind] == 1:
            warn("homeostasis failed while %s (%s); the app is not affected", doing, kind[1])
    except Exception:  # noqa: S110 - a broken log handler of the app must not turn our failure into the app's
        pass


def failures() -> dict[str, int]:
    """How often each kind of failure happened in this process."""
    return {f"{doing}: {name}": count for (doing, name), count in _counts.items()}
