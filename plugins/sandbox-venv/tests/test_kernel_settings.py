"""What only root could write, although it has no capabilities in a trial."""

from __future__ import annotations

import os

import pytest


@pytest.mark.parametrize("level", ["landlock", "bubblewrap"], indirect=True)  # without walls, root may write it
@pytest.mark.skipif(os.getuid() != 0, reason="others may not write it anywhere")
def test_root_in_a_trial_cannot_change_the_kernel(make_project, trial_of, level):
    """The file of a setting belongs to root, and asks for no capability."""
    code = "import os; p = '/proc/sys/vm/swappiness'; v = open(p).read(); print(v); open(p, 'w').write(v)"
    done = trial_of(make_project({"shop.py": ""})).run(["{python}", "-c", code])
    assert done.returncode != 0
    assert "swappiness" in done.stderr
