"""The pytest plugin: crashes inside tests are events, failed assertions are not.

`homeostasis heal -- pytest` loads it by `PYTEST_PLUGINS`, and reads what it writes into the directory of
`HOMEOSTASIS_CAPTURE`. A test suite whose crashes shall become incidents loads it itself, by
`pytest -p homeostasis.monitoring.pytest_plugin`: then they go into the spool, each with the command that runs its test.
"""

from __future__ import annotations

import os
from typing import Any

from homeostasis.monitoring import bootstrap


def pytest_exception_interact(node: Any, call: Any, report: Any) -> None:  # noqa: ARG001 - pytest matches names
    """Called by pytest for each error of a test or of the collection that is neither a skip nor an expected failure."""
    error = call.excinfo.value
    if type(error).__module__.startswith("_pytest.") and error.__cause__ is not None:
        error = error.__cause__  # an import error of a test module arrives wrapped
    crashed = not isinstance(error, AssertionError) and not type(error).__module__.startswith("_pytest.")
    if os.environ.get(bootstrap.CAPTURE):
        bootstrap.note(node.nodeid, bootstrap.record(error) if crashed else None)
    elif crashed:
        _spool(node, error)


def pytest_unconfigure() -> None:
    """Called by pytest before it ends, in the workers of pytest-xdist too, which run no exit handlers."""
    from homeostasis.monitoring.active import current

    client = current()
    if client is not None:
        client.settle()


def _spool(node: Any, error: BaseException) -> None:
    try:
        from homeostasis.monitoring.active import configure

        client = configure()
        client.capture(error, command=_command_of(node, client.project))
    except Exception as failure:
        from homeostasis.monitoring.internal import failed

        failed("capturing the crash of a test", failure)


def _command_of(node: Any, project: str | None) -> dict[str, Any]:
    """What runs the one test, from the directory that its id is relative to."""
    start = os.path.relpath(str(node.config.rootpath), project or os.curdir)
    return {"argv": ["python", "-m", "pytest", node.nodeid], "cwd": None if start.startswith(os.pardir) else start}
