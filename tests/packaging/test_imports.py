"""The contract of the side that runs in the app: the standard library, and nothing else."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import homeostasis.autostart
import homeostasis.monitoring

SOURCE = Path(homeostasis.monitoring.__file__).resolve().parents[2]
IN_APP = (homeostasis.monitoring, homeostasis.autostart)
MODULES = sorted(
    info.name for package in IN_APP for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)
PYTEST_SIDE = {"homeostasis.monitoring.pytest_plugin"}
"""Loaded by pytest, where there is pytest."""


def run(code: str) -> str:
    """Run code in an interpreter that has the standard library and the source of core, and no site-packages."""
    script = f"import sys\nsys.path.append({str(SOURCE)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_something_to_import():
    """The list of modules below is not empty by mistake."""
    assert len(MODULES) > 5


def test_monitoring_needs_no_third_party():
    """Every module of the monitoring can be imported where nothing is installed."""
    names = [name for name in MODULES if name not in PYTEST_SIDE and not name.endswith("__main__")]
    run(f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n")


def test_monitoring_imports_nothing_of_the_orchestrator():
    """The app does not pay for models, hooks or the command line."""
    out = run("import homeostasis.monitoring\nprint([name for name in sys.modules if name.startswith('homeostasis.')])")
    loaded = [name for name in out.split("'") if name.startswith("homeostasis.")]
    assert [name for name in loaded if not name.startswith("homeostasis.monitoring")] == []


def test_the_imports_of_the_faq_work():
    """`setup_monitoring` and `HomeostasisMiddleware` are where the questions and answers say."""
    run("from homeostasis.monitoring import HomeostasisMiddleware, setup_monitoring\nassert callable(setup_monitoring)")


def test_importing_the_monitoring_changes_nothing():
    """No hook is installed and no thread is started before the app asks for it."""
    run(
        "import threading\nbefore = (sys.excepthook, threading.excepthook, threading.active_count())\n"
        "import homeostasis.monitoring\n"
        "assert (sys.excepthook, threading.excepthook, threading.active_count()) == before"
    )
