"""An orchestrator that is killed at any of its side effects leaves nothing half done, lost, done twice or stuck."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("driver.py")
SHARES = 4
"""Each scenario is divided among so many tests, which run side by side."""
STEP = 1 if os.environ.get("HOMEOSTASIS_NIGHTLY") == "1" else 6
"""Every point at night, every sixth one otherwise; which ones is another question for each Python version."""
FEWEST = {"heal": 150, "rollback": 40}
OFFSET = sys.version_info[1] % STEP


@pytest.mark.slow  # a few dozen orchestrators, each of them killed
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("scenario", sorted(FEWEST))
def test_next_orchestrator_brings_it_to_its_end(scenario, share):
    """Transactions, files and programs, each before and after, in the healing and in the rollback of two crashes."""
    words = [scenario, str(OFFSET + share * STEP), str(SHARES * STEP)]
    done = subprocess.run(
        [sys.executable, str(DRIVER), *words], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    *tried, last = (json.loads(line) for line in done.stdout.splitlines())
    assert last["points"] >= FEWEST[scenario]
    assert tried
    assert [each for each in tried if each["problems"]] == []
