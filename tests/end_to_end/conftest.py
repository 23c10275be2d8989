"""A service of the user's own: a project, an environment for the app, another one for the orchestrator."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable

import pytest

from homeostasis.testing import commit_all

PATIENCE = 90.0
"""Seconds after which something that does not happen counts as not happening."""


class Service:
    """A project that `homeostasis run` serves."""

    def __init__(self, root: Path, app: Any, healer: Any, environ: dict[str, str]) -> None:
        self.root = root
        self.app = app
        self.healer = healer
        self.environ = environ
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None
        self.output = root.parent / f"{root.name}.log"

    def homeostasis(self, *words: str, check: bool = True) -> str:
        """Run a command in the project and give what it prints."""
        done = self.healer.run("homeostasis", *words, cwd=self.root, check=check)
        return done.stdout

    def start(self, *command: str) -> None:
        """`homeostasis run -- COMMAND`, and wait until the app answers."""
        words = [str(self.healer.path / "bin" / "homeostasis"), "run", "--", *command]
        with self.output.open("w") as log:
            self.process = subprocess.Popen(
                words, cwd=self.root, env=self.environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.until(lambda: self.get("/price?name=tea")[0] == 200, "the app to answer")

    def stop(self) -> int:
        """Interrupt the orchestrator, as with Ctrl-C, and wait for it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def kill(self) -> None:
        """End everything, whatever happened before."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer; status 0 if there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def workers(self) -> set[str]:
        """Names of the files by which the app's processes announce themselves."""
        return {path.name for path in (self.root / ".homeostasis" / "workers").glob("*.json")}

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that has to happen."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert self.process is None or self.process.poll() is None, f"it ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.log()}"
            time.sleep(0.1)

    def log(self) -> str:
        """What the ledger says, and the end of what `homeostasis run` printed."""
        told = [self.homeostasis("show", each["id"], check=False) for each in self.incidents()]
        return "\n".join([*told, self.output.read_text("utf-8", "replace")[-3000:]])

    def incidents(self) -> list[dict[str, Any]]:
        """`homeostasis incidents --json`."""
        return json.loads(self.homeostasis("incidents", "--json"))


@pytest.fixture
def make_service(tmp_path, wheels, make_environment, clean_environ):
    """Makes a service out of files, with its two environments; ends it afterwards."""
    made: list[Service] = []

    def make(files: dict[str, str], *requirements: object) -> Service:
        root = tmp_path / "own"
        root.mkdir()
        for name, text in files.items():
            (root / name).write_text(text, encoding="utf-8")
        commit_all(root)
        ours = ("rules-python", "sandbox-venv", "deploy-git", "deploy-hotswap")
        app, healer = make_environment(*requirements), make_environment(*(wheels[name] for name in ours))
        made.append(Service(root, app, healer, clean_environ))
        return made[-1]

    yield make
    for service in made:
        service.kill()
