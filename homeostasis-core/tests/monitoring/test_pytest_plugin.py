"""Real runs of pytest, whose crashes are found in the spool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeostasis.models import Event

SHOP = "def price(name):\n    return {'tea': 3}[name]\n"
TESTS = """
import logging
import pytest
import shop

def test_crash():
    shop.price("milk")

@pytest.mark.parametrize("name", ["tea", "ale"])
def test_each(name):
    shop.price(name)

def test_assertion():
    assert shop.price("tea") == 4

def test_expected():
    with pytest.raises(KeyError):
        shop.price("gin")
    try:
        shop.price("rum")
    except KeyError:
        logging.exception("as it should be")

@pytest.mark.xfail
def test_expected_failure():
    shop.price("port")

def test_skipped():
    pytest.skip("not now")

@pytest.fixture
def broken():
    raise LookupError("in a fixture")

def test_fixture(broken):
    pass
"""


def run(project: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (project / "shop.py").write_text(SHOP, encoding="utf-8")
    (project / "tests").mkdir(exist_ok=True)
    (project / "tests" / "test_shop.py").write_text(TESTS, encoding="utf-8")
    (project / "tests" / "test_broken.py").write_text("import shop\nVALUE = 1 / 0\n", encoding="utf-8")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("HOMEOSTASIS_", "PYTEST_"))}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "homeostasis.monitoring.pytest_plugin",
            "-p",
            "no:cacheprovider",
            *options,
        ],
        cwd=project,
        env={**plain, "PYTHONPATH": str(project), "HOMEOSTASIS_STRICT": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def spooled(project: Path) -> list[Event]:
    files = sorted((project / ".homeostasis" / "spool").glob("*.jsonl"))
    records = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    assert {record["record"] for record in records} <= {"event", "recurrence"}
    return [Event.model_validate_json(json.dumps(record)) for record in records if record["record"] == "event"]


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadfile")], ids=["plain", "xdist"])
def test_crashes_of_tests(project: Path, options: tuple[str, ...]) -> None:
    """Each kind of crash is an event with the command that runs its test; what a test expects or asserts is none."""
    if options:
        pytest.importorskip("xdist")
    done = run(project, "--continue-on-collection-errors", *options)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {event.raised.message.strip("'"): event for event in spooled(project)}
    assert {
        message: (event.raised.type, event.command and event.command.argv[3:]) for message, event in found.items()
    } == {
        "milk": ("KeyError", ("tests/test_shop.py::test_crash",)),
        "ale": ("KeyError", ("tests/test_shop.py::test_each[ale]",)),
        "in a fixture": ("LookupError", ("tests/test_shop.py::test_fixture",)),
        "division by zero": ("ZeroDivisionError", ("tests/test_broken.py",)),
    }
    command = found["milk"].command
    assert command is not None
    assert (command.argv[:3], command.cwd) == (("python", "-m", "pytest"), ".")
    assert found["milk"].crash_frame.function == "price"


def test_the_outcome_is_what_it_was(project: Path, tmp_path: Path) -> None:
    """Without a project, or with a spool that cannot be written, pytest reports the same."""
    (project / ".homeostasis").write_text("no directory", encoding="utf-8")
    done = [
        run(project, "tests/test_shop.py", HOMEOSTASIS_STRICT="0"),
        run(project, "tests/test_shop.py", HOMEOSTASIS_ENABLED="0"),
    ]
    (project / "pyproject.toml").unlink()
    done.append(run(project, "tests/test_shop.py"))
    summaries = [one.stdout.splitlines()[-1].strip("= ").partition(" in ")[0] for one in done]
    assert summaries == ["3 failed, 2 passed, 1 skipped, 1 xfailed, 1 error"] * 3
