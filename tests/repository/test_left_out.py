"""What a run leaves out is said, and is a failure where everything is demanded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest

def test_passes():
    pass

def test_lacks():
    pytest.skip("no dockerd: install it")

@pytest.mark.skipif(True, reason="exception groups came with 3.11")
def test_newer():
    pass
"""


@pytest.mark.parametrize(
    ("once_on", "passed", "skipped"),
    [("", 2, 0), ("{}.{}".format(*sys.version_info), 2, 0), ("3.99", 1, 1)],
    ids=["no nox", "here", "elsewhere"],
)
def test_what_is_the_same_everywhere_runs_once(pytester, monkeypatch, once_on, passed, skipped):
    """On the Python that nox names, and no demand for everything fails for it; without nox it runs."""
    monkeypatch.setenv("HOMEOSTASIS_ONCE_ON", once_on)
    monkeypatch.setenv("HOMEOSTASIS_REQUIRE_ALL", "1")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makeconftest((ROOT / "conftest.py").read_text("utf-8"))
    pytester.makepyprojecttoml((ROOT / "pyproject.toml").read_text("utf-8"))
    marked = "@pytest.mark.once('of the same')\ndef test_same():\n    pass\n"
    (pytester.path / "homeostasis-core" / "tests").mkdir(parents=True)
    pytester.makepyfile(f"import pytest\n\ndef test_different():\n    pass\n\n{marked}")
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", ".")
    assert result.ret == 0
    result.assert_outcomes(passed=passed, skipped=skipped)


@pytest.mark.parametrize(("demanded", "status"), [("", 0), ("1", 1)])
def test_a_skipped_capability(pytester, monkeypatch, demanded, status):
    """The reason is printed at the end; under HOMEOSTASIS_REQUIRE_ALL=1 the run fails. Other Pythons do not count."""
    monkeypatch.setenv("HOMEOSTASIS_REQUIRE_ALL", demanded)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makeconftest((ROOT / "conftest.py").read_text("utf-8"))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    assert result.ret == status
    left_out = [line for line in result.outlines if line.startswith("Left out:")]
    assert len(left_out) == 1
    assert "no dockerd: install it" in left_out[0]
