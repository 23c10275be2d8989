"""`Repository`: the git plumbing that the deployers use.

It never touches `HEAD`, the user's index or files, and runs no hook.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Mapping

from homeostasis.errors import DeployError

_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "core.safecrlf=false",
    "index.sparse=false",
    "i18n.commitEncoding=utf-8",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
_ENVIRONMENT = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}


class GitError(DeployError):
    """A git command failed; `code` is its exit status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Entry:
    """A path in a commit: `kind` is `blob`, `tree` or `commit` (a submodule)."""

    mode: str
    kind: str
    id: str


@dataclass(frozen=True)
class Repository:
    """A repository with a work tree.

    Attributes:
        top: root of the work tree.
        prefix: path of the project below `top`, with a slash at the end, or empty.
        timeout: seconds for one command.
    """

    top: Path
    prefix: str = ""
    timeout: float = 120.0

    @classmethod
    def around(cls, root: Path, timeout: float = 120.0) -> Repository:
        """The repository that a project lies in.

        Raises:
            DeployError: there is no git, no repository, or one without a work tree.
        """
        here = cls(root, timeout=timeout)
        try:
            bare, top, prefix = (
                here.run("rev-parse", "--is-bare-repository", "--show-toplevel", "--show-prefix") + "\n"
            ).split("\n")[:3]
        except GitError as error:
            if here.succeeds("rev-parse", "--is-bare-repository"):
                raise DeployError(
                    f"{root} lies in a bare repository or in .git itself: deploy from a clone with a work tree"
                ) from error
            raise DeployError(
                f"{root} is not in a usable git repository ({error}): "
                "run `git init` and commit, or take git-branch out of chain"
            ) from error
        if bare == "true":
            raise DeployError(f"{root} lies in a bare repository: deploy from a clone with a work tree")
        return replace(here, top=Path(top), prefix=prefix)

    def run(self, *arguments: str, data: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run a git command and return its output without the last line end.

        Raises:
            GitError: it failed; the message holds git's own reason.
            DeployError: git is missing or took too long.
        """
        return self.output(*arguments, data=data, env=env).decode("utf-8", "surrogateescape").rstrip("\n")

    def output(
        self, *arguments: str, data: bytes = b"", env: Mapping[str, str] | None = None, accept: int = 0
    ) -> bytes:
        """Like `run`, with the raw output; exit statuses up to `accept` are no errors."""
        done = self._execute(arguments, data, env)
        if not 0 <= done.returncode <= accept:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = lines[0] if lines else f"exit status {done.returncode}"
            raise GitError(f"git {arguments[0]}: {reason}", done.returncode)
        return done.stdout

    def _execute(
        self, arguments: tuple[str, ...], data: bytes, env: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[bytes]:
        options = [part for option in _OPTIONS for part in ("-c", option)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            return subprocess.run(
                ["git", "-C", str(self.top), *options, *arguments],
                input=data,
                capture_output=True,
                env={**clean, **_ENVIRONMENT, **(env or {})},
                timeout=self.timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise DeployError(
                "git is not installed or not on PATH: install it, or take git-branch out of chain"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise DeployError(
                f"git {arguments[0]} took longer than {self.timeout:g} s: try again or raise timeout"
            ) from error
        except OSError as error:
            raise DeployError(f"git cannot be run: {error}") from error

    def succeeds(self, *arguments: str) -> bool:
        """Whether a command exits with 0."""
        return self._execute(arguments, b"", None).returncode == 0

    def commit_of(self, revision: str) -> str | None:
        """The id of a commit, or None if there is none of that name."""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except GitError:
            return None

    def base(self) -> str:
        """The commit that fixes start from: `HEAD`, or during a rebase what the branch was before.

        Raises:
            DeployError: nothing was committed yet.
        """
        for state in ("rebase-merge/orig-head", "rebase-apply/orig-head"):
            file = self.top / self.run("rev-parse", "--git-path", state)
            if file.is_file():
                commit = self.commit_of(file.read_text(encoding="ascii", errors="replace").strip())
                if commit is not None:
                    return commit
        head = self.commit_of("HEAD")
        if head is None:
            raise DeployError(f"{self.top} has no commit yet: commit the app once, so that a fix can be a change to it")
        return head

    def entry(self, commit: str, path: str) -> Entry | None:
        """What a commit holds at a path (relative to `top`), or None.

        Raises:
            DeployError: the path leads into a submodule.
        """
        for parent in [*reversed([p.as_posix() for p in Path(path).parents if p.as_posix() != "."]), path]:
            found = self.run("--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", parent).rstrip("\0")
            if not found:
                return None
            mode, kind, name = found.partition("\t")[0].split(" ")
            if kind == "commit":
                raise DeployError(
                    f"{path} lies in the submodule {parent}: run Homeostasis with the submodule as its project"
                )
        return Entry(mode, kind, name)

    def store(self, content: bytes, path: str, *, filters: bool) -> str:
        """Write a blob and return its id. With filters, as `git add` would convert the file at that path."""
        return self.identify(content, path, "-w", filters=filters)

    def identify(self, content: bytes, path: str, *options: str, filters: bool) -> str:
        """The id that a blob would have."""
        how = (f"--path={path}",) if filters else ("--no-filters",)
        return self.run("hash-object", *options, "--stdin", *how, data=content)

    def blob(self, name: str) -> bytes:
        """The content of a blob."""
        return self.output("cat-file", "blob", name)

    def tree_with(self, commit: str, entries: Mapping[str, Entry]) -> str:
        """The id of a commit's tree with some paths replaced, made in an index of its own."""
        with self._temporary_index() as env:
            self.run("read-tree", commit, env=env)
            lines = [f"{entry.mode} {entry.id}\t{path}\0" for path, entry in entries.items()]
            self.run("update-index", "-z", "--index-info", data="".join(lines).encode("utf-8"), env=env)
            return self.run("write-tree", env=env)

    @contextmanager
    def _temporary_index(self) -> Iterator[Mapping[str, str]]:
        with tempfile.TemporaryDirectory(prefix="homeostasis-index-") as directory:
            yield {"GIT_INDEX_FILE": str(Path(directory) / "index")}

    def config(self, name: str) -> str | None:
        """A value of the git configuration, or None."""
        try:
            return self.run("config", "--get", name) or None
        except GitError:
            return None
