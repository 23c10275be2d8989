"""What an app needs: databases, seeds, hosts, pinned packages; and an overlay that does not mix two states."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from homeostasis.errors import SandboxError
from homeostasis_sandbox_venv import isolation, overlayfs
from homeostasis_sandbox_venv.settings import Settings


def python(trial, code):
    done = trial.run(["{python}", "-c", code])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(params=["overlay", "copy"])
def way(request, monkeypatch):
    """Both ways of making the tree."""
    if request.param == "copy":
        monkeypatch.setattr(overlayfs, "prepare", lambda *_: False)
    return request.param


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_is_copied_with_what_its_log_holds(make_project, trial_of, level, way, mode):
    """Of a live one, with all that was committed; what the trial writes is not in the app's."""
    project = make_project({"shop.py": ""})
    with closing(sqlite3.connect(str(project.root / "shop.db"))) as live:
        live.execute(f"pragma journal_mode = {mode}")
        live.execute("create table tea (name)")
        live.execute("insert into tea values ('green')")
        live.commit()
        trial = trial_of(project)
        code = (
            "import sqlite3; c = sqlite3.connect('shop.db'); print(c.execute('select * from tea').fetchall());"
            "c.execute('delete from tea'); c.commit()"
        )
        assert python(trial, code) == "[('green',)]"
        assert live.execute("select * from tea").fetchall() == [("green",)]


def test_seeds_are_copied_into_the_tree(make_project, trial_of, level, way):
    """From the project or elsewhere; a missing one is an error that names it."""
    project = make_project({"shop.py": "", "config.example": "TEA"})
    assert (
        python(trial_of(project, files={"local/config": "config.example"}), "print(open('local/config').read())")
        == "TEA"
    )
    assert not (project.root / "local").exists()
    with pytest.raises(SandboxError, match="no-such-file"):
        trial_of(project, files={"x": "no-such-file"})
    with pytest.raises(ValidationError, match="does not name a file"):
        Settings(files={"../x": "y"})


def test_a_deployment_meanwhile_does_not_mix_the_tree(make_project, trial_of, level, way):
    """The Python files of `source` are those of the trial's beginning."""
    project = make_project({"shop.py": "TEA = 1\n", "lib/deep/__init__.py": "TEA = 1\n"})
    trial = trial_of(project)
    for name in ("shop.py", "lib/deep/__init__.py"):
        new = project.root / "new"
        new.write_text("TEA = 22\n")
        new.replace(project.root / name)
    assert python(trial, "import shop, lib.deep; print(shop.TEA, lib.deep.TEA)") == "1 1"


@pytest.mark.parametrize("level", [name for name in isolation.LEVELS if name != "rlimits"], indirect=True)
def test_listed_hosts_are_reached_and_others_are_not(make_project, trial_of, level):
    """And the verdict says that the network is open, so that requests with side effects are not sent.

    At `rlimits` nothing limits the network.
    """
    with socket.create_server(("127.0.0.1", 0)) as listed, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [server.getsockname()[1] for server in (listed, other)]
        trial = trial_of(make_project({"shop.py": ""}), allow_hosts=(f"127.0.0.1:{ports[0]}",))
        code = f"import socket\nfor port in {ports}:\n    s = socket.socket()\n    print(s.connect_ex(('127.0.0.1', port)))"
        first, second = python(trial, code).split()
    assert (first, second != "0") == ("0", True)
    assert trial.isolation != level
    assert trial.isolation.startswith(level)
    for wrong in ("example.com:80", "10.0.0.1:80", "127.0.0.1", "127.0.0.1:0"):
        with pytest.raises(ValidationError, match="on loopback"):
            Settings(allow_hosts=(wrong,))


def test_exact_without_uv_or_pins_is_an_error(make_project, trial_of, monkeypatch, tmp_path):
    """The sentence says what is missing."""
    project = make_project({"shop.py": ""})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="needs uv"):
        trial_of(project, exact=True)
    (tmp_path / "uv").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "uv").chmod(0o755)
    with pytest.raises(SandboxError, match=r"no uv\.lock"):
        trial_of(project, exact=True)


def test_nothing_is_mounted_on_the_machine(make_project, trial_of, level, tmp_path):
    """Mounts live in namespaces that end with us."""
    trial = trial_of(make_project({"shop.py": ""}))
    python(trial, "print(1)")
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="needs an interpreter that everybody may run")
def test_an_ordinary_user_has_landlock_and_the_overlay(tmp_path, tmp_path_factory):
    """The launcher and the mounter need no rights: run as nobody, by an interpreter of the system."""
    code = """
import os, sys, json, subprocess, tempfile
sys.path.insert(0, os.getcwd())
with tempfile.TemporaryDirectory() as d:
    for name in ("lower", "upper", "work", "tree"): os.mkdir(d + "/" + name)
    open(d + "/lower/file", "w").write("lower")
    os.mknod(d + "/upper/.homeostasis", 0o020000, 0)
    spec = dict(lower=d + "/lower", root=d + "/lower", upper=d + "/upper", work=d + "/work", tree=d + "/tree", bound=[], cover=True)
    m = subprocess.Popen([sys.executable, "-I", "-S", "homeostasis_sandbox_venv/mounter.py", json.dumps(spec)], stdin=-1, stdout=-1)
    print(m.stdout.readline().decode().strip())
    fds = [os.open("/proc/%d/ns/%s" % (m.pid, k), 0) for k in ("user", "mnt")]
    m.communicate()
    rights = dict(readable=["/usr", "/etc", "/lib", "/lib64", "/bin", "/proc"], writable=[d + "/lower"])
    spec = dict(limits={}, cwd=d + "/lower", supervise=True, orchestrator=os.getpid(), namespaces=fds, landlock=rights, ports=None)
    script = "echo trial > file; cat file; (: > " + d + "/outside) || echo refused"
    subprocess.run([sys.executable, "-I", "-S", "homeostasis_sandbox_venv/launcher.py", json.dumps(spec), "/bin/sh", "-c", script], pass_fds=fds, stderr=subprocess.DEVNULL)
    print(open(d + "/lower/file").read())
    subprocess.run(["chmod", "-R", "700", d])
"""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # noqa: PTH101
        shutil.copytree(Path(isolation.__file__).parent, Path(place, "homeostasis_sandbox_venv"))
        become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        done = subprocess.run(
            [*become, "/usr/bin/python3", "-u", "-c", code], cwd=place, capture_output=True, text=True, check=False
        )
    if "user namespaces" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout.split() == ["user", "trial", "refused", "lower"], done.stderr
