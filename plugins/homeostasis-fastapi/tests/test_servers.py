"""FastAPI apps under real servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow  # starts uvicorn

APP = """
from fastapi import FastAPI
from homeostasis.monitoring import HomeostasisMiddleware

app = FastAPI()
app.add_middleware(HomeostasisMiddleware, config={})


@app.get("/price/{sku}")
async def price(sku: str):
    return {"price": {"apple": 3}[sku]}
"""


def wait_for(found: Callable[[], Any]) -> Any:
    """What the function returns, as soon as it is true."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.005)
    pytest.fail("waited in vain")


def test_uvicorn(tmp_path: Path) -> None:
    """The process registers before its first request, a crash reaches the disk, and it leaves when the server ends."""
    (tmp_path / "pyproject.toml").write_text("[tool.homeostasis]\n")
    (tmp_path / "orders.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "orders:app", "--host", "127.0.0.1", "--port", str(port)],
        cwd=tmp_path,
        env={**environ, "HOMEOSTASIS_STRICT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        workers, spool = tmp_path / ".homeostasis" / "workers", tmp_path / ".homeostasis" / "spool"
        (file,) = wait_for(lambda: list(workers.glob("*.json")))
        record = json.loads(file.read_text())
        assert (record["pid"], record["server"], record["app"]) == (process.pid, "uvicorn", "orders:app")

        def crash() -> bool:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/price/pear", timeout=60)
            except urllib.error.HTTPError as error:
                error.close()
                return error.code == 500
            except OSError:
                return False
            return False

        wait_for(crash)
        (written,) = wait_for(lambda: [file for file in spool.glob("*.jsonl") if b"\n" in file.read_bytes()])
        event = json.loads(written.read_text().splitlines()[0])
        assert (event["request"]["route"], event["request"]["framework"]) == ("/price/{sku}", "fastapi")
        assert event["runtime"]["app"] == "orders:app"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=90)
    assert list(workers.glob("*.json")) == []
