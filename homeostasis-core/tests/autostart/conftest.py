"""Starts programs as `homeostasis run` does: with the injection directory, and nothing else of ours."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from homeostasis import injection


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of a project that is set up for Homeostasis."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.homeostasis]\nservice = 'shop'\n", encoding="utf-8")
    return root.resolve()


@pytest.fixture
def injected(project: Path) -> Callable[..., dict[str, str]]:
    """The environment that `homeostasis run` gives the app."""

    def make(**environ: str) -> dict[str, str]:
        directory = injection.inject(project / ".homeostasis" / "injection", adapters=True)
        plain = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("HOMEOSTASIS_") and key not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        }
        return {
            **injection.monitoring(directory, plain),
            "HOMEOSTASIS_PROJECT": str(project),
            "HOMEOSTASIS_STRICT": "1",
            **environ,
        }

    return make


@pytest.fixture
def run(project: Path, injected: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script of the project under injection."""

    def start(
        source: str, *options: str, python: str = sys.executable, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        (project / "script.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return subprocess.run(
            [python, *options, "script.py"],
            cwd=project,
            env=injected(**environ),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    return start


@pytest.fixture
def records(project: Path) -> Callable[[], list[dict[str, Any]]]:
    """Reads the whole records of the project's spool."""

    def read() -> list[dict[str, Any]]:
        files = sorted((project / ".homeostasis" / "spool").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().split(b"\n")[:-1]]

    return read


@pytest.fixture
def events(records: Any) -> Callable[[], list[dict[str, Any]]]:
    """Reads the events of the project's spool."""
    return lambda: [record for record in records() if record["record"] == "event"]


class Server:
    """A server on a Unix socket, which no other test can take away as it could a port."""

    PATIENCE = 60.0

    def __init__(self, process: subprocess.Popen[bytes], socket_path: str) -> None:
        self.process = process
        self._socket = socket_path

    def ask(self, path: str, body: bytes | None = None) -> int:
        """Status of the answer; 0 if there is none, such as before the server listens."""
        connection = http.client.HTTPConnection("localhost", timeout=self.PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(self.PATIENCE)
        try:
            connection.sock.connect(self._socket)
            connection.request("GET" if body is None else "POST", path, body=body)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def wait_for(self, found: Callable[[], Any]) -> Any:
        """What `found` returns, once that is something."""
        deadline = time.monotonic() + self.PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            result = found()
            if result:
                return result
            time.sleep(0.02)
        self.process.kill()
        pytest.fail(f"waited in vain: {self.process.communicate()[1].decode()[-3000:]}")

    def end(self) -> int:
        """Ask the server to end; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=self.PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
        return self.process.returncode


@pytest.fixture
def serve(project: Path, injected: Any) -> Iterator[Callable[..., Server]]:
    """Starts a Python command in the project; its word `SOCKET` becomes the path of the socket to listen on."""
    started: list[Server] = []
    directory = tempfile.mkdtemp(prefix="serve-")  # the path of a socket must be short

    def start(*command: str) -> Server:
        path = f"{directory}/{len(started)}"
        process = subprocess.Popen(
            [sys.executable, *(word.replace("SOCKET", path) for word in command)],
            cwd=project,
            env=injected(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(Server(process, path))
        return started[-1]

    yield start
    for server in started:
        server.end()
    shutil.rmtree(directory)
