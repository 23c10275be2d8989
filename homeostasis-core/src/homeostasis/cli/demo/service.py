"""An example service as a real server: copied, put under git, started and stopped."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Iterator, List, Tuple

import homeostasis
from homeostasis.cli.demo.traffic import Call, send
from homeostasis.errors import HomeostasisError, UsageError
from homeostasis.project import Project
from homeostasis.supervisor import Supervisor

START_TIMEOUT = 30.0
"""Seconds until a server must answer."""


@dataclass(frozen=True)
class Example:
    """An example service: its directory, what must be installed, and how it is served on a port."""

    name: str
    needs: Tuple[str, ...]
    serve: Tuple[str, ...]

    def command(self, port: int) -> List[str]:
        """The command that serves it on 127.0.0.1."""
        return [sys.executable, "-m", *(word.replace("{port}", str(port)) for word in self.serve)]


EXAMPLES = {
    "flask": Example(
        "flask-shop",
        ("flask", "gunicorn", "homeostasis_flask"),
        ("gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "shop:create_app()"),
    ),
    "fastapi": Example(
        "fastapi-orders",
        ("fastapi", "uvicorn", "homeostasis_fastapi"),
        ("uvicorn", "--host", "127.0.0.1", "--port", "{port}", "orders.main:app"),
    ),
}


def find_examples() -> Path:
    """The directory `examples` of a checkout.

    Raises:
        UsageError: there is none above the installed package nor above the current directory.
    """
    for start in (Path(homeostasis.__file__).resolve(), Path.cwd() / "here"):
        for folder in start.parents:
            if all((folder / "examples" / example.name / "traffic.json").is_file() for example in EXAMPLES.values()):
                return folder / "examples"
    raise UsageError("the demo's example services are in the repository only: run it inside a checkout of Homeostasis")


def require_installed(example: Example) -> None:
    """Raise a UsageError that names the pip command if something that the example needs is missing."""
    missing = [name.replace("_", "-") for name in example.needs if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{example.name} needs {', '.join(missing)}: {sys.executable} -m pip install {' '.join(missing)}"
        )


def copy_example(source: Path, target: Path) -> None:
    """Copy a service and make the copy a git repository with one commit.

    Raises:
        UsageError: the target exists already, or git cannot be used.
    """
    if target.exists():
        raise UsageError(f"{target} exists already: name another directory with --keep")
    shutil.copytree(
        source,
        target,
        ignore=shutil.ignore_patterns(".homeostasis", "__pycache__", ".pytest_cache", ".venv", "traffic.json"),
    )
    for words in (
        ["init", "--quiet"],
        ["config", "user.name", "Example Team"],
        ["config", "user.email", "team@example.org"],
        ["add", "--all"],
        ["-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "-m", "The service as it is"],
    ):
        try:
            subprocess.run(["git", *words], cwd=target, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise UsageError("the demo needs git: install it") from error
        except subprocess.CalledProcessError as error:
            raise UsageError(f"git {words[0]} failed in {target}: {error.stderr.strip()}") from error


def free_ports(count: int) -> List[int]:
    """Different free TCP ports of 127.0.0.1."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Service:
    """A running example; a context manager that stops it."""

    def __init__(self, example: Example, project: Project, port: int) -> None:
        self.example, self.project, self.port = example, project, port
        self._log_file = project.state / "server.log"
        self._log = self._log_file.open("wb")
        self._supervisor = Supervisor(example.command(port), project, output=self._log)

    def __enter__(self) -> Service:
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop(10.0)
        self._log.close()

    def wait_until_ready(self, probe: Call) -> None:
        """Wait until it answers.

        Raises:
            HomeostasisError: it ended, or did not answer in time; with the end of its output.
        """
        deadline = time.monotonic() + START_TIMEOUT
        for pause in _pauses():
            if send(self.port, probe).status:
                return
            if self._supervisor.returncode is not None or time.monotonic() > deadline:
                tail = self._log_file.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise HomeostasisError(f"{self.example.name} did not start; its output ends with:\n{tail}")
            time.sleep(pause)


def _pauses() -> Iterator[float]:
    while True:
        yield 0.05
