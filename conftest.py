"""Settings for all tests of the repository: the shipped fixtures, and the account of what was left out."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

pytest_plugins = ["homeostasis.testing.fixtures", "pytester"]

REQUIRE_ALL = os.environ.get("HOMEOSTASIS_REQUIRE_ALL") == "1"
ONCE_ON = os.environ.get("HOMEOSTASIS_ONCE_ON", "")
"""Where several Pythons are tested, the one that runs what is the same on all of them; by default each does."""


ABOUT_THIS_PYTHON = re.compile(r"(came with|came with Python|on Python|from Python) 3\.\d+")
"""A reason like this is about the interpreter that runs the tests, not about something that the machine lacks."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`@pytest.mark.once("why it is the same on each Python")` is for what takes long."""
    if ONCE_ON in ("", "{}.{}".format(*sys.version_info)):
        return
    for item in items:
        marker = item.get_closest_marker("once")
        if marker is not None:
            item.add_marker(pytest.mark.skip(reason=f"on Python {ONCE_ON} only: {marker.args[0]}"))


def _skips(reporter: TerminalReporter) -> list[str]:
    reasons = [report.longrepr[2] for report in reporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    return [reason.replace("Skipped: ", "", 1) for reason in reasons if not ABOUT_THIS_PYTHON.search(reason)]


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    for reason in sorted(set(_skips(terminalreporter))):
        failure = " (a failure, because HOMEOSTASIS_REQUIRE_ALL=1)" if REQUIRE_ALL else ""
        terminalreporter.write_line(f"Left out: {reason}{failure}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Under HOMEOSTASIS_REQUIRE_ALL=1 a capability that the machine lacks is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if REQUIRE_ALL and exitstatus == 0 and reporter and _skips(reporter) and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
