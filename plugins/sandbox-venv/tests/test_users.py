"""Who the healer may be: an ordinary user gets the same walls as root, and one without user namespaces is told so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from homeostasis_sandbox_venv import isolation

HERE = Path(__file__).parent
SAY = """
import json, pathlib, sys
from homeostasis.project import Project
from homeostasis_sandbox_venv import isolation
from homeostasis_sandbox_venv.runner import make_trial
from homeostasis_sandbox_venv.settings import Settings
root = pathlib.Path(sys.argv[1])
root.joinpath("pyproject.toml").write_text(f"[tool.homeostasis]\\npython = {sys.executable!r}\\n")
with make_trial(None, Project.load(root), Settings()) as trial:
    inside = trial.run(["{python}", "-c", "print(6 * 7)"]).stdout
print(json.dumps([*isolation.probe(), trial.isolation, inside]))
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that an ordinary user may write; pytest's own is closed to others."""
    made = Path(tempfile.mkdtemp(prefix="homeostasis-user-")).resolve()
    if os.getuid() == 0:
        os.chown(made, 65534, 65534)
    yield made
    shutil.rmtree(made)


def as_ordinary_user(home: Path, namespaces: str, *words: str) -> str:
    """What a program of that user prints; it must end well."""
    unwanted = ("PYTEST_", "COV_", "COVERAGE_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    env.update(HOME=str(home), TMPDIR=str(home), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        [sys.executable, str(HERE / "as_ordinary_user.py"), namespaces, *words],
        env=env, cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


needs_walls = pytest.mark.skipif(isolation.probe()[0] != "bubblewrap", reason=isolation.probe()[1] or "-")
TABLE = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(HERE / "test_hostile.py")]


@needs_walls
@pytest.mark.once("the kernel asks who the user is, not which Python; the table itself is tested on each")
@pytest.mark.slow  # it is the whole table once more, about twenty trials
@pytest.mark.parametrize(("namespaces", "level"), [("allowed", "bubblewrap"), ("refused", "landlock")])
def test_the_table_holds_for_an_ordinary_user(home, namespaces, level):
    """The same tests, in processes of that user."""
    if level == "landlock" and isolation._why_no_landlock():
        pytest.skip(isolation._why_no_landlock())
    said = as_ordinary_user(home, namespaces, *TABLE, "-k", level, "--basetemp", str(home / "t"))
    assert " passed" in said
    assert " failed" not in said


FORK = """
import pathlib, sys, time
from homeostasis.project import Project
from homeostasis_sandbox_venv import zygotes
from homeostasis_sandbox_venv.runner import make_trial
from homeostasis_sandbox_venv.settings import Settings
root = pathlib.Path(sys.argv[1])
root.mkdir()
root.joinpath("pyproject.toml").write_text(f"[tool.homeostasis]\\npython = {sys.executable!r}\\n")
root.joinpath("runner.py").write_text("import sys\\nexec(sys.stdin.read())\\n")
with make_trial(None, Project.load(root), Settings()) as trial:
    trial.warm_up(["{python}", "-m", "runner"], stdin="import wave")
    while trial.warmth().reason == zygotes.MAKING:
        time.sleep(0.02)
    code = "import os; open('new', 'w').close(); print('wave' in sys.modules, os.getuid() > 0, os.path.exists('new'))"
    done = trial.run(["{python}", "-m", "runner"], stdin=code, warm=True)
    print(done.warm, done.stdout, done.stderr, trial.warmth().reason)
zygotes.end_all()
"""


@needs_walls
@pytest.mark.parametrize("mounted", [False, True], ids=["plain", "mounted"])
def test_an_ordinary_user_has_a_zygote(home, mounted):
    """Root is another case: it may do more, and bubblewrap hides more of /proc from it.

    A home that is a mount of its own lies under a private directory inside: where that covers it, nothing is mounted.
    """
    own = home / "closed" / "home" if mounted else home
    if mounted:
        own.mkdir(parents=True)
        own.parent.chmod(0o700)  # so that root is shown it by a mount
        shutil.chown(own, *([65534, 65534] if os.getuid() == 0 else [os.getuid(), os.getgid()]))
    said = as_ordinary_user(own, "allowed", "-c", FORK, str(own / "project"))
    assert said.split() == ["True", "True", "True", "True"], said
    assert not (own / "project" / "new").exists()


@needs_walls
def test_without_user_namespaces_the_next_level_is_taken_and_told(home):
    """As in an unprivileged container: the probe, the trial and `homeostasis doctor` say it."""
    (home / "project").mkdir(mode=0o777)
    (home / "project").chmod(0o777)
    said = as_ordinary_user(home, "refused", "-c", SAY, str(home / "project"))
    level, reason, isolation_of_trial, inside = json.loads(said)
    assert (level, isolation_of_trial, inside) == (level, level, "42\n")
    assert level in ("landlock", "rlimits")
    assert reason.startswith("bubblewrap does not work here: ")
    doctor = "import contextlib\nfrom homeostasis.cli import main\nwith contextlib.suppress(SystemExit):\n    main()"
    words = ["doctor", "--json", "--project", str(home / "project")]
    findings = json.loads(as_ordinary_user(home, "refused", "-c", doctor, *words))
    (found,) = [finding for finding in findings if finding["check"] == "isolation"]
    assert (found["level"], found["detail"]) == ("warning", f"{level}: {reason}")
