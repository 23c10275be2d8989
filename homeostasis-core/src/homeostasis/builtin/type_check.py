"""Built-in validator `type-check`: mypy or pyright finds no error in the edited files that it did not find before.

It is not enabled by default: add `type-check` to `plugins` in an app that is checked with one of them. pyright is taken
if the project is configured for it and not for mypy.
"""

from __future__ import annotations

import configparser
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from homeostasis import hookimpl
from homeostasis.models import Check, Completed, Outcome, Patch, Trial
from homeostasis.project import Project
from homeostasis.toml import tomllib

NAME = "type-check"
_ERROR = re.compile(r"(?P<path>[^:\n]+\.pyi?):\d+(?::\d+)*: error: (?P<message>.+)")
_FAILED = 2
"""The exit status, of both, from which on nothing was checked; 1 means that errors were found."""

Errors = Iterator["tuple[str, str]"]
"""File, relative to the root, and message."""


class Checker(NamedTuple):
    """A program that checks types."""

    name: str
    argv: tuple[str, ...]
    """The command, to which the files are added."""
    read: Callable[[str, Path], Errors]
    """What it printed, and the tree's root as it saw it, to errors. Raises ValueError if it printed something else."""


class _Unchecked(Exception):
    """The checker gave no result; the message says why, in a phrase."""


@hookimpl
def homeostasis_validate(trial: Trial, base: Trial, patch: Patch, project: Project) -> Check:
    """Check the edited files in both trees with the app's own checker and its configuration."""
    edited = [edit.path for edit in patch.edits if edit.path.endswith(".py")]
    existing = [edit.path for edit in patch.edits if edit.path.endswith(".py") and edit.before is not None]
    timeout = project.config.validation.test_timeout
    checker = choose(project.root)
    try:
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix=NAME) as pool:
            after_run = pool.submit(_errors, checker, trial, edited, timeout)
            before_run = pool.submit(_errors, checker, base, existing, timeout)
            after, before = after_run.result(), before_run.result()
    except _Unchecked as reason:
        return Check(name=NAME, outcome=Outcome.INCONCLUSIVE, detail=str(reason))
    new = sorted((after - before).elements())
    if new:
        shown = "; ".join(f"{path}: {message}" for path, message in new[:3])
        return Check(name=NAME, outcome=Outcome.REJECTED, detail=f"{len(new)} new errors: {shown}")
    known = f"; {sum(before.values())} were there before" if before else ""
    said = f"{checker.name} finds nothing new in {', '.join(edited)}{known}"
    return Check(name=NAME, outcome=Outcome.ACCEPTED, detail=said)


def choose(root: Path) -> Checker:
    """The checker of the project at `root`: pyright if there are settings for it and none for mypy, else mypy."""
    tools = _tools(root / "pyproject.toml")
    for_pyright = (root / "pyrightconfig.json").is_file() or bool({"pyright", "basedpyright"} & tools)
    for_mypy = (root / "mypy.ini").is_file() or (root / ".mypy.ini").is_file() or "mypy" in tools
    if not for_pyright or for_mypy or _has_section(root / "setup.cfg", "mypy"):
        return MYPY
    return BASEDPYRIGHT if "basedpyright" in tools else PYRIGHT


def _tools(pyproject: Path) -> set[str]:
    try:
        tools = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError, RecursionError):
        return set()
    return set(tools) if isinstance(tools, dict) else set()


def _has_section(file: Path, name: str) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(file, encoding="utf-8")
    except (OSError, ValueError, configparser.Error):
        return False
    return parser.has_section(name)


def _errors(checker: Checker, trial: Trial, paths: list[str], timeout: float) -> Counter[tuple[str, str]]:
    """Errors in these files, without their lines, which a patch moves."""
    if not paths:
        return Counter()
    done = trial.run([*checker.argv, *paths], timeout=timeout)
    if done.timed_out:
        raise _Unchecked(f"{checker.name} is not done within {timeout:g} s")
    if f"No module named {checker.name}" in done.stderr:
        raise _Unchecked(f"{checker.name} is not installed beside the app")
    if done.returncode >= _FAILED or done.returncode < 0:
        raise _Unchecked(f"{checker.name} cannot check these files: {_last_line(done)}")
    try:
        return Counter(error for error in checker.read(done.stdout, trial.root) if error[0] in paths)
    except (ValueError, RecursionError) as error:
        raise _Unchecked(f"{checker.name} printed what it never does: {_last_line(done)}") from error


def _last_line(done: Completed) -> str:
    return (done.stdout.strip() or done.stderr.strip()).rsplit("\n", 1)[-1][:200]


def _read_mypy(text: str, _root: Path) -> Errors:
    found = (match for match in map(_ERROR.match, text.splitlines()) if match)
    return ((match["path"], match["message"]) for match in found)


def _read_pyright(text: str, root: Path) -> Errors:
    """Errors of `--outputjson`: `{"generalDiagnostics": [{"file", "severity", "message", "rule"}]}`."""
    report = json.loads(text)
    diagnostics = report.get("generalDiagnostics") if isinstance(report, dict) else None
    if not isinstance(diagnostics, list):
        raise ValueError("no generalDiagnostics")  # noqa: TRY004 - it is about the text, not about a caller
    return (_diagnostic(entry, root) for entry in diagnostics if _is_error(entry))


def _is_error(entry: Any) -> bool:
    if not isinstance(entry, dict):
        raise ValueError("a diagnostic is no object")  # noqa: TRY004 - as above
    return entry.get("severity") == "error"


def _diagnostic(entry: dict[str, Any], root: Path) -> tuple[str, str]:
    file, rule = Path(str(entry.get("file", ""))), entry.get("rule")
    path = file.relative_to(root).as_posix() if root in file.parents else file.as_posix()
    message = " ".join(str(entry.get("message", "")).split())
    return path, f"{message} ({rule})" if isinstance(rule, str) else message


MYPY = Checker(
    "mypy",
    ("{python}", "-m", "mypy", "--no-color-output", "--hide-error-context", "--no-pretty", "--cache-dir", "/dev/null"),
    _read_mypy,
)
PYRIGHT = Checker("pyright", ("{python}", "-m", "pyright", "--outputjson"), _read_pyright)
BASEDPYRIGHT = Checker("basedpyright", ("{python}", "-m", "basedpyright", "--outputjson"), _read_pyright)
