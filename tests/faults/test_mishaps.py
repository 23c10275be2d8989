"""Full disks, damaged records, editors, a missing repository, a clock that is set, a second orchestrator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("mishaps.py")
STEP = 3 if os.environ.get("HOMEOSTASIS_NIGHTLY") == "1" else 120
"""Every third point at night, one or two of them otherwise; which ones is another question for each Python version."""
MISHAPS = {
    "clock": 150,
    "damaged spool": 150,
    "edited files": 150,
    "full disk": 150,
    "full disk, rollback": 40,
    "live workers": 150,
    "live workers, rollback": 40,
    "removed repository": 150,
    "two orchestrators": 150,
}
"""Names, and how many points there are at least."""


@pytest.mark.slow  # a few dozen orchestrators, with something wrong in each
@pytest.mark.parametrize("name", sorted(MISHAPS))
def test_next_orchestrator_puts_it_right(name):
    """Nothing is half done, lost, done twice or stuck, and ledger, files and repository agree."""
    step = STEP if MISHAPS[name] > 100 else max(1, STEP // 3)
    words = [name, str(7 * sys.version_info[1] % step), str(step)]
    done = subprocess.run(
        [sys.executable, str(DRIVER), *words], capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-5000:]
    *tried, last = (json.loads(line) for line in done.stdout.splitlines())
    if "skipped" in last:
        pytest.skip(last["skipped"])
    assert last["points"] >= MISHAPS[name]
    assert tried
    assert [each for each in tried if each["problems"]] == []
