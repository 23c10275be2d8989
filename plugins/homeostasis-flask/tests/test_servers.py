"""Flask apps under real servers."""

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
from typing import Any, Callable, Iterator

import pytest

pytest.importorskip("gunicorn")
pytestmark = pytest.mark.slow  # starts gunicorn

APP = """
from flask import Flask
from homeostasis.monitoring import setup_monitoring


def create_app():
    app = Flask(__name__)

    @app.post("/price/<sku>")
    def price(sku):
        return {"price": {"apple": 3}[sku]}

    setup_monitoring(app, config={"service": "shop"})
    return app


app = create_app()
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


@pytest.fixture(params=[(), ("--preload",)], ids=["plain", "preload"])
def server(tmp_path: Path, request: Any) -> Iterator[tuple[Path, int, subprocess.Popen[bytes]]]:
    """gunicorn with two workers, with and without preloading the app in its master."""
    (tmp_path / "pyproject.toml").write_text("[tool.homeostasis]\nservice = 'shop'\n")
    (tmp_path / "shop.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS_")}
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", *request.param, "shop:app"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**environ, "HOMEOSTASIS_STRICT": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield tmp_path, port, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=90)


def test_gunicorn(server: Any) -> None:
    """Each worker registers before its first request, a crash reaches the disk, and they leave when the server ends."""
    root, port, process = server
    workers = root / ".homeostasis" / "workers"
    files = wait_for(lambda: len(list(workers.glob("*.json"))) == 2 and list(workers.glob("*.json")))
    for file in files:
        record = json.loads(file.read_text())
        assert record["ppid"] == process.pid
        assert (record["server"], record["app"]) == ("gunicorn", "shop:app")
    request = urllib.request.Request(f"http://127.0.0.1:{port}/price/pear", data=b'{"a": 1}', method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    caught.value.close()
    spool = root / ".homeostasis" / "spool"
    (written,) = wait_for(lambda: [file for file in spool.glob("*.jsonl") if b"\n" in file.read_bytes()])
    event = json.loads(written.read_text().splitlines()[0])
    assert event["service"] == "shop"
    assert event["request"]["route"] == "/price/<sku>"
    assert event["request"]["body"] == "eyJhIjogMX0="
    assert event["runtime"]["app"] == "shop:app"
    process.send_signal(signal.SIGTERM)
    process.wait(90)
    assert list(workers.glob("*.json")) == []
    records = [json.loads(line) for line in written.read_text().splitlines()]
    assert [record["attributes"]["http.route"] for record in records if record["record"] == "traffic"] == [
        "/price/<sku>"
    ]
