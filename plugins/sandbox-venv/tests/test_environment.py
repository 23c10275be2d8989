"""The environment of a trial: the app's interpreter, its packages, and the copy of its tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from homeostasis.errors import SandboxError
from homeostasis.testing.builders import patch_of
from homeostasis_sandbox_venv import interpreter, tree


def python(trial, code, **options):
    done = trial.run(["{python}", "-c", code], **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def app_environment(tmp_path_factory):
    """A virtual environment of an app, with one package and one command."""
    directory = tmp_path_factory.mktemp("app") / "environment"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(directory)
    packages = next((directory / "lib").glob("python*/site-packages"))
    (packages / "tea.py").write_text("LEAVES = 'app'\n")
    command = directory / "bin" / "brew"
    command.write_text(f"#!{directory}/bin/python\nimport sys, tea\nprint(tea.LEAVES, sys.prefix)\n")
    command.chmod(0o755)
    return directory


def test_packages_of_the_app_are_there(make_project, trial_of, level, app_environment):
    """Also through its commands, which run in the overlay."""
    trial = trial_of(make_project({"shop.py": ""}, str(app_environment / "bin" / "python")))
    assert python(trial, "import tea; print(tea.LEAVES)") == "app"
    done = trial.run(["brew"])
    assert done.stdout.split() == ["app", str(Path(trial.python).parent.parent)]


def test_packages_of_the_overlay_win(make_project, trial_of, level, app_environment):
    """What is pinned into the overlay hides what the app has."""
    trial = trial_of(make_project({"shop.py": ""}, str(app_environment / "bin" / "python")))
    packages = next((trial.runner.directory / "environment" / "lib").glob("python*/site-packages"))
    (packages / "tea.py").write_text("LEAVES = 'overlay'\n")
    assert python(trial, "import tea; print(tea.LEAVES)") == "overlay"


@pytest.mark.parametrize("form", ["pth", "finder"])
def test_an_editable_install_of_the_app_means_the_copy(make_project, trial_of, level, app_environment, form):
    """A candidate imports its own patched file, however the app was installed."""
    project = make_project({"lib/kettle/__init__.py": "HEAT = 1\n"}, str(app_environment / "bin" / "python"))
    packages = next((app_environment / "lib").glob("python*/site-packages"))
    if form == "pth":
        files = {"kettle.pth": f"{project.root}/lib\n"}
    else:
        finder = f"MAPPING: dict[str, str] = {{'kettle': '{project.root}/lib/kettle'}}\n"
        files = {"__editable___kettle_finder.py": "from __future__ import annotations\n" + finder}
    for name, text in files.items():
        (packages / name).write_text(text)
    try:
        trial = trial_of(project, patch_of({"lib/kettle/__init__.py": (b"HEAT = 1\n", b"HEAT = 2\n")}))
        assert python(trial, "import kettle; print(kettle.HEAT, kettle.__file__)") == (
            f"2 {trial.root}/lib/kettle/__init__.py"
        )
    finally:
        for name in files:
            (packages / name).unlink()


def test_byte_code_of_the_old_file_is_not_used(make_project, trial_of, level):
    """Even if the patch keeps the size of a file that is as young as itself."""
    project = make_project({"shop.py": "TEA = 1\n"})
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(project.root)], check=True)
    stamp = (project.root / "shop.py").stat().st_mtime
    trial = trial_of(project, patch_of({"shop.py": (b"TEA = 1\n", b"TEA = 2\n")}))
    layer = "tree" if trial.runner.mounted is None else "upper"
    os.utime(trial.runner.directory / layer / "shop.py", (stamp, stamp))
    assert python(trial, "import shop; print(shop.TEA)") == "2"


def test_a_file_that_vanishes_meanwhile_does_not_end_overlays(make_project, trial_of, monkeypatch):
    """The trial gets a copy, and the next one an overlay again where they work."""
    project = make_project({"shop.py": "TEA = 1\n"})
    overlays = trial_of(project).runner.mounted is not None

    def vanished(source, _):
        raise FileNotFoundError(source)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(tree, "copy_source", vanished)
        assert python(trial_of(project), "import shop; print(shop.TEA)") == "1"
    assert (trial_of(project).runner.mounted is not None) == overlays


def test_the_environment_is_clean_but_for_what_is_configured(make_project, trial_of, level, monkeypatch):
    """Settings add variables and name those that are passed on."""
    monkeypatch.setenv("PASSED", "yes")
    monkeypatch.setenv("OTHER", "no")
    trial = trial_of(make_project({"shop.py": ""}), env={"MODE": "test"}, pass_env=("PASSED",))
    shown = python(trial, "import os; print(os.environ.get('PASSED'), os.environ.get('OTHER'), os.environ.get('MODE'))")
    assert shown == "yes None test"


def test_the_home_is_private_and_writable(make_project, trial_of, level):
    """Programs that keep things in their home directory work, and leave nothing in the user's."""
    trial = trial_of(make_project({"shop.py": ""}))
    home = python(trial, "import pathlib; p = pathlib.Path.home(); (p / 'x').write_text('x'); print(p)")
    assert Path(home) != Path.home()


def test_multiprocessing_works(make_project, trial_of, level):
    """Locks and shared memory need a writable `/dev/shm`."""
    code = "import multiprocessing as m; l = m.Lock(); a = m.Array('i', 3); print(l.acquire(), len(a))"
    assert python(trial_of(make_project({"shop.py": ""})), code) == "True 3"


def test_setup_commands_prepare_a_trial(make_project, trial_of, level):
    """They run in the tree; one that fails is told with its last words."""
    project = make_project({"shop.py": ""})
    trial = trial_of(project, setup=("python -c \"open('made', 'w').write('here')\"",))
    assert python(trial, "print(open('made').read())") == "here"
    assert not (project.root / "made").exists()
    with pytest.raises(SandboxError, match="no such table"):
        trial_of(project, setup=("python -c \"raise SystemExit('no such table')\"",))


def test_the_interpreter_of_a_live_process_is_found(make_project, app_environment):
    """Without a setting, a registered process of the app says which interpreter it is; a dead one does not."""
    project = make_project({"shop.py": ""}, python=None)
    assert interpreter.find(project) == Path(sys.executable)
    workers = project.state / "workers"
    workers.mkdir()
    executable = str(app_environment / "bin" / "python")
    (workers / "999999999.json").write_text('{"pid": 999999999, "ppid": 1, "executable": "/nowhere/python"}')
    living = f'{{"pid": {os.getpid()}, "ppid": {os.getppid()}, "executable": "{executable}"}}'
    (workers / f"{os.getpid()}.json").write_text(living)
    (workers / "2.json").write_text("half a rec")
    assert interpreter.find(project) == Path(executable)


def test_an_environment_in_the_project_is_found_and_not_copied(make_project, trial_of, level):
    """`.venv` is used where it is."""
    project = make_project({"shop.py": ""}, python=None)
    venv.EnvBuilder(with_pip=False, symlinks=True).create(project.root / ".venv")
    packages = next((project.root / ".venv" / "lib").glob("python*/site-packages"))
    (packages / "tea.py").write_text("LEAVES = 'project'\n")
    trial = trial_of(project)
    assert python(trial, "import tea; print(tea.LEAVES)") == "project"
    assert not (trial.runner.directory / "tree" / ".venv" / "pyvenv.cfg").exists()


def test_a_wrong_interpreter_is_an_error(make_project, trial_of):
    """The message names the setting."""
    with pytest.raises(SandboxError, match="no executable file"):
        trial_of(make_project({"shop.py": ""}, python="/nowhere/python"))


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_another_version_runs_the_replay(make_project, trial_of, level, version):
    """The orchestrator's version does not matter: ours is made available to the app's interpreter."""
    found = _other_python(version)
    if found is None:
        pytest.skip(f"Python {version} is not installed")
    trial = trial_of(make_project({"shop.py": "def app(e, s):\n    s('200 OK', [])\n    return [b'x']\n"}, found))
    question = '{"project_root": ".", "app": "shop:app", "requests": [{}]}'
    done = trial.run(["{python}", "-m", "homeostasis.monitoring.replay"], stdin=question)
    assert '"status": 200' in done.stdout, done.stderr


def _other_python(version):
    """An interpreter of that version, on PATH or where pyenv keeps them."""
    versions = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    candidates = [shutil.which(f"python{version}"), *map(str, versions)]
    works = (
        c for c in candidates if c and subprocess.run([c, "-c", ""], capture_output=True, check=False).returncode == 0
    )
    return next(works, None)
