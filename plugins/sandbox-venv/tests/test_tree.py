"""The copy of the tree, and that nothing of it stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from homeostasis_sandbox_venv import directories, tree


@pytest.fixture
def project(tmp_path):
    """A tree with all that is left out, and links."""
    root = tmp_path / "project"
    for name in ("shop/__init__.py", ".git/HEAD", ".homeostasis/ledger.db", "node_modules/x.js", "env/pyvenv.cfg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (tmp_path / "outside").write_text("outside")
    (root / "inside.py").symlink_to(root / "shop" / "__init__.py")
    (root / "out").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe")
    return root


def names(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def test_what_is_no_program_is_left_out(project, tmp_path):
    """Repositories, environments, state and pipes; and links that lead out, unless they cannot do harm."""
    tree.copy(project, tmp_path / "copy", outward_links=False)
    assert names(tmp_path / "copy") == {"shop", "shop/__init__.py", "inside.py"}
    tree.copy(project, tmp_path / "other", outward_links=True)
    assert (tmp_path / "other" / "out").is_symlink()


def test_links_inside_lead_to_the_copy(project, tmp_path):
    """Also absolute ones: writing through them does not reach the app's tree."""
    tree.copy(project, tmp_path / "copy", outward_links=False)
    (tmp_path / "copy" / "inside.py").write_text("changed")
    assert (tmp_path / "copy" / "shop" / "__init__.py").read_text() == "changed"
    assert (project / "shop" / "__init__.py").read_text() == "shop/__init__.py"


def test_trials_of_dead_owners_are_swept(tmp_path, monkeypatch):
    """After `kill -9` of an orchestrator the next one removes its trials and ends their processes."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = directories.make()  # now: the first call of a process sweeps
    code = f"""
        import os, signal, subprocess, sys, tempfile
        tempfile.tempdir = {str(tmp_path)!r}
        from homeostasis_sandbox_venv import directories
        made = directories.make()
        env = {{**os.environ, directories.TOKEN: str(made)}}
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(made, child.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    left, pid = done.stdout.split()
    foreign = tmp_path / f"{directories.PREFIX}not-ours"
    foreign.mkdir()
    assert Path(left).is_dir()
    assert directories.sweep() == [Path(left)]
    assert (own.is_dir(), foreign.is_dir(), Path(left).exists()) == (True, True, False)
    for _ in range(500):  # a kill is sent at once and takes effect a little later
        if _state(pid) in (None, "Z"):
            break
        time.sleep(0.01)
    assert _state(pid) in (None, "Z")
    directories.remove(own)


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def test_directories_without_permissions_are_removed(tmp_path, monkeypatch):
    """A program cannot keep its directory by locking it, nor have us change what a link leads to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = directories.make()
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (made / "locked" / "deep").mkdir(parents=True)
    (made / "locked" / "link").symlink_to(outside)
    (made / "locked").chmod(0)
    directories.remove(made)
    directories.remove(made)
    assert not made.exists()
    assert (outside.stat().st_mode & 0o777, tmp_path.stat().st_mode & 0o777) == (0o755, 0o700)


def test_byte_code_outside_the_copy_is_never_deleted(project, tmp_path):
    """A cache that is a link is dropped as a link."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "__init__.cpython-311.pyc").write_text("theirs")
    (project / "shop" / "__pycache__").symlink_to(cache)
    tree.copy(project, tmp_path / "copy", outward_links=True)
    tree.forget_byte_code(tmp_path / "copy", "shop/__init__.py")
    assert (cache / "__init__.cpython-311.pyc").exists()
