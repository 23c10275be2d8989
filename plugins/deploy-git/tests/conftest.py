"""Real repositories and a journal, for the tests of both deployers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from homeostasis.models import (
    Check,
    Effect,
    Event,
    FileEdit,
    Frame,
    Incident,
    Outcome,
    Patch,
    Raised,
    Span,
    Step,
    Verdict,
)
from homeostasis.project import Project
from homeostasis_deploy_git.settings import BranchTable

BEFORE = b"def a():\n    return 1\n\n\ndef price(cart):\n    return cart['price']\n\n\ndef z():\n    return 26\n"


class Recorder:
    """A journal that remembers."""

    def __init__(self):
        self.undo = None
        self.facts = {}

    def intend(self, undo):
        assert self.undo is None, "intend is called once"
        self.undo = dict(undo)

    def fact(self, name, value):
        assert self.undo is not None, "nothing happens before the intent is recorded"
        self.facts[name] = value


class Git:
    """A repository with the app in it, and ways to look at it."""

    def __init__(self, top: Path, env):
        self.top = top
        self.env = env

    def __call__(self, *arguments, data=None, check=True):
        done = subprocess.run(
            ["git", *arguments], cwd=self.top, env=self.env, input=data, capture_output=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(done.stderr.decode())
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def show(self, revision):
        return subprocess.run(
            ["git", "show", revision], cwd=self.top, env=self.env, capture_output=True, check=True
        ).stdout

    def commit(self, message="work", **files):
        for name, content in files.items():
            self("update-index", "--add", "--cacheinfo", f"100644,{self.hash(content)},{name.replace('__', '/')}.py")
        self("commit", "-q", "-m", message)

    def hash(self, content):
        return self("hash-object", "-w", "--stdin", data=content)

    def state(self):
        """What the deployers must not touch: HEAD, the index, the files, the other refs."""
        files = {p: p.read_bytes() for p in sorted(self.top.rglob("*")) if p.is_file() and ".git" not in p.parts}
        index = self.top / ".git" / "index"
        return self("symbolic-ref", "-q", "HEAD", check=False), self("rev-parse", "HEAD"), index.read_bytes(), files


@pytest.fixture
def git_environment(tmp_path, monkeypatch):
    """No configuration of the machine, and hostile git variables that the deployers must ignore."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Dana Dev\n\temail = dana@example.org\n[init]\n\tdefaultBranch = main\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(tmp_path / "hostile"))
    return {**clean, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(home)}


@pytest.fixture
def git(tmp_path, git_environment):
    """A repository whose HEAD holds `shop.py`."""
    top = tmp_path / "repository"
    top.mkdir()
    repository = Git(top, git_environment)
    repository("init", "-q")
    (top / "shop.py").write_bytes(BEFORE)
    (top / "other.py").write_bytes(b"x = 1\n")
    repository("add", "-A")
    repository("commit", "-q", "-m", "first")
    return repository


@pytest.fixture
def make():
    """Builders of the models."""

    class Make:
        before = BEFORE

        @staticmethod
        def patch(before=BEFORE, after=None, path="shop.py", summary="Use 0 for a missing price", **fields):
            if after is None:
                after = before.replace(b"cart['price']", b"cart.get('price', 0)")
            edits = fields.pop("edits", (FileEdit(path=path, before=before, after=after),))
            return Patch(
                id="p1", rule_id="python.keyerror", edits=edits, effect=Effect.RECOVER, summary=summary, **fields
            )

        @staticmethod
        def incident(name="inc1", message="'price'"):
            frame = Frame(path="/srv/shop.py", function="price", span=Span(line=6))
            event = Event(
                id="e1",
                timestamp=1.0,
                fingerprint="f" * 16,
                exceptions=(Raised(type="KeyError", message=message, frames=(frame,)),),
            )
            return Incident(id=name, fingerprint="f" * 16, service="shop", event=event, first_seen=1.0, last_seen=2.0)

        @staticmethod
        def verdict(detail="the request crashes without the patch and not with it"):
            check = Check(name="reproduction", outcome=Outcome.ACCEPTED, required=True, detail=detail)
            return Verdict.of("p1", (check,))

        @staticmethod
        def project(root):
            return Project.load(root)

        @staticmethod
        def journal():
            return Recorder()

        @staticmethod
        def step(journal, deployer="git-branch"):
            return Step(deployer=deployer, state="done", undo=journal.undo or {}, facts=journal.facts)

        settings = BranchTable

    return Make
