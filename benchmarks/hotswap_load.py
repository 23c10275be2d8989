"""Deployments and rollbacks in running servers under load: failed requests, wrong answers, time of a swap.

    python benchmarks/hotswap_load.py -n 200

Starts gunicorn (sync, gthread and gevent workers) and uvicorn, two workers each, with a small shop, and loads them with
`wrk` (or clients of its own where that is missing). Meanwhile a patch is deployed and rolled back N times by the real
deployers, `working-tree` and `hotswap`, as the orchestrator calls them. wrk counts bad statuses and broken connections;
a script in it compares each answer with the two right ones. Ends with 1 if a request failed or an answer was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List

from homeostasis.models import Check, Effect, FileEdit, Outcome, Patch, Release, Step, Verdict
from homeostasis.plugins import Plugins, load_plugins
from homeostasis.project import Project
from homeostasis.testing.builders import incident_of, stranger
from homeostasis.testing.fakes import RecordingJournal
from homeostasis.workers import live_workers

CONNECTIONS = 32
WORKERS = 2
SECONDS_TO_START = 60.0

WSGI_SHOP = b"""\
import functools

from flask import Flask

from homeostasis.monitoring import setup_monitoring

app = Flask(__name__)
prices = {"tea": 3}


def priced(view):
    @functools.wraps(view)
    def wrapper(name):
        return {"answer": view(name)}

    return wrapper


@app.get("/price/<name>")
@priced
def price(name):
    total = prices[name]
    return f"old:{total}"


setup_monitoring(app)
"""
ASGI_SHOP = b"""\
from fastapi import Depends, FastAPI

from homeostasis.monitoring import setup_monitoring

app = FastAPI()
prices = {"tea": 3}


async def found(name: str):
    total = prices[name]
    return f"old:{total}"


@app.get("/price/{name}")
async def price(answer: str = Depends(found)):
    return {"answer": answer}


setup_monitoring(app)
"""
OLD_BODY = b'    total = prices[name]\n    return f"old:{total}"\n'
NEW_BODY = b'    text = json.dumps([prices.get(name, 0)])\n    return f"new:{text[1:-1]}"\n'
RIGHT = ("old:3", "new:3")

WRK_SCRIPT = """\
local threads = {}
function setup(thread)
    table.insert(threads, thread)
end
function init(args)
    wrong = 0
    sample = ""
end
function response(status, headers, body)
    if not (status == 200 and (body:find('"old:3"', 1, true) or body:find('"new:3"', 1, true))) then
        wrong = wrong + 1
        sample = status .. " " .. body:sub(1, 200)
    end
end
function done(summary, latency, requests)
    local wrong, sample = 0, ""
    for _, thread in ipairs(threads) do
        wrong = wrong + thread:get("wrong")
        if thread:get("sample") ~= "" then sample = thread:get("sample") end
    end
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d %d %s\\n", summary.requests, errors.status, errors.connect,
        errors.read, errors.write + errors.timeout, wrong, sample))
end
"""


@dataclass(frozen=True)
class Server:
    """How to serve the shop.

    Attributes:
        name: for the table.
        shop: its source.
        arguments: after `python -m`; the address is added.
    """

    name: str
    shop: bytes
    arguments: List[str]


GUNICORN = ["gunicorn", "-w", str(WORKERS), "--log-level", "error", "shop:app"]
SERVERS = (
    Server("gunicorn sync", WSGI_SHOP, GUNICORN),
    Server("gunicorn gthread", WSGI_SHOP, [*GUNICORN, "-k", "gthread", "--threads", "4"]),
    Server("gunicorn gevent", WSGI_SHOP, [*GUNICORN, "-k", "gevent"]),
    Server("uvicorn", ASGI_SHOP, ["uvicorn", "--workers", str(WORKERS), "--log-level", "error", "shop:app"]),
)


@dataclass
class Load:
    """What the clients saw.

    Attributes:
        requests: answered.
        failed: no answer, or a status other than 200.
        wrong: answered with something else than one of the two right answers.
        sample: one that failed or was wrong, for people.
    """

    requests: int = 0
    failed: int = 0
    wrong: int = 0
    sample: str = ""
    seconds: float = 0.0


@dataclass
class Row:
    """What happened at one server. Times in seconds: of a deployment or rollback, all workers together."""

    server: str
    deployments: int = 0
    rollbacks: int = 0
    times: List[float] = field(default_factory=list)
    load: Load = field(default_factory=Load)

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong and there was a load."""
        return self.load.requests > 0 and self.load.failed == self.load.wrong == 0


def measure(server: Server, rounds: int) -> Row:
    """Deploy and roll back alternately under load."""
    with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as directory:
        root = Path(directory).resolve()
        (root / "shop.py").write_bytes(server.shop)
        (root / "pyproject.toml").write_text(
            '[tool.homeostasis]\nplugins = ["working-tree", "hotswap"]\nsource = ["."]\n'
            '[tool.homeostasis.deploy]\nchain = ["working-tree", "hotswap"]\n'
            '[tool.homeostasis.hotswap]\nfallback = "fail"\n',
            encoding="utf-8",
        )
        project = Project.load(root)
        port = _free_port()
        with _served(server, project, port):
            row = Row(server.name)
            with _loaded(port, row.load):
                _alternate(load_plugins(project), _patch(server.shop), rounds, row)
        return row


def _patch(shop: bytes) -> Patch:
    after = b"import json\n" + shop.replace(OLD_BODY, NEW_BODY)
    edits = (FileEdit(path="shop.py", before=shop, after=after),)
    return Patch(id="p1", rule_id="benchmark", edits=edits, effect=Effect.CORRECT, summary="Answer anew")


def _alternate(plugins: Plugins, patch: Patch, rounds: int, row: Row) -> None:
    check = Check(name="reproduction", outcome=Outcome.ACCEPTED, required=True, detail="")
    verdict, incident = Verdict.of(patch.id, (check,)), incident_of(stranger("shop.py"))
    for _ in range(rounds):
        begun = time.perf_counter()
        steps = []
        for name in plugins.project.config.deploy.chain:
            journal = RecordingJournal()
            plugins.deploy(name, patch, verdict, incident, journal)
            steps.append(Step(deployer=name, state="done", undo=journal.undo or {}, facts=journal.facts))
        swapped = steps[-1].facts
        if swapped["method"] != "hotswap" or len(swapped["workers"]) != WORKERS:
            raise RuntimeError(f"not all workers were swapped: {swapped}")
        deployed = time.perf_counter()
        release = Release(
            id="r", incident_id="i", patch_id=patch.id, state="live", steps=tuple(steps), started_at=time.time()
        )
        for step in reversed(steps):
            plugins.undo(step, release, patch)
        row.times += [deployed - begun, time.perf_counter() - deployed]
        row.deployments += 1
        row.rollbacks += 1


# --- servers and load ----------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _served(server: Server, project: Project, port: int) -> Iterator[None]:
    where = ["-b", f"127.0.0.1:{port}"] if server.arguments[0] == "gunicorn" else ["--port", str(port)]
    env = {**os.environ, "HOMEOSTASIS_PROJECT": str(project.root)}
    with (project.root / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *server.arguments, *where], cwd=project.root, env=env, stdout=log, stderr=log
        )
        try:
            _wait_for_workers(project, port, process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_workers(project: Project, port: int, process: subprocess.Popen[bytes]) -> None:
    """Ask until all workers have registered: outside gunicorn they do with their first request."""
    deadline = time.monotonic() + SECONDS_TO_START
    while len(live_workers(project)) < WORKERS:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((project.root / "server.log").read_text(encoding="utf-8")[-2000:] or "no worker came")
        with contextlib.suppress(OSError, http.client.HTTPException):
            _ask(port)
        time.sleep(0.02)


def _ask(port: int) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/price/tea")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextlib.contextmanager
def _loaded(port: int, load: Load) -> Iterator[None]:
    begun = time.monotonic()
    with _wrk(port, load) if shutil.which("wrk") else _clients(port, load):
        yield
    load.seconds = time.monotonic() - begun


@contextlib.contextmanager
def _wrk(port: int, load: Load) -> Iterator[None]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT)
        script.flush()
        argv = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", "3600", "--timeout", "30", "-s", script.name]
        process = subprocess.Popen(
            [*argv, f"http://127.0.0.1:{port}/price/tea"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        time.sleep(0.5)  # wrk connects
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)  # it stops and prints
            said = process.communicate(timeout=60)[0]
    line = next((line for line in said.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(f"wrk said nothing that we know: {said}")
    words = line.split(" ", 7)
    requests, *bad, wrong = map(int, words[1:7])
    load.requests, load.failed, load.wrong, load.sample = requests, sum(bad), wrong, words[7]


@contextlib.contextmanager
def _clients(port: int, load: Load) -> Iterator[None]:
    stop, lock = threading.Event(), threading.Lock()

    def ask() -> None:
        while not stop.is_set():
            try:
                status, body = _ask(port)
                answer = json.loads(body)["answer"] if status == 200 else None
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                status, body, answer = 0, repr(error), None
            with lock:
                load.requests += 1
                load.failed += status != 200
                load.wrong += status == 200 and answer not in RIGHT
                if answer not in RIGHT:
                    load.sample = f"{status} {body!r}"[:200]

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# --- the report ----------------------------------------------------------------------------------------------------


def document(row: Row) -> Dict[str, Any]:
    """A row as JSON values; times in milliseconds."""
    times = sorted(row.times)
    return {
        "server": row.server,
        "deployments": row.deployments,
        "rollbacks": row.rollbacks,
        "requests": row.load.requests,
        "failed": row.load.failed,
        "wrong": row.load.wrong,
        "swap_p50_ms": round(1000 * times[len(times) // 2], 1),
        "swap_p99_ms": round(1000 * times[math.ceil(0.99 * len(times)) - 1], 1),
        "requests_per_second": round(row.load.requests / row.load.seconds),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("-n", "--rounds", type=int, default=200, help="deployments, and rollbacks (default 200)")
    parser.add_argument("--server", choices=[server.name for server in SERVERS], help="only this one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("-n must be 1 or more")
    rows = []
    for server in SERVERS:
        if options.server in (None, server.name):
            rows.append(measure(server, options.rounds))
            sys.stderr.write(f"{server.name}: {rows[-1].load}\n")
    found = [document(row) for row in rows]
    client = "wrk" if shutil.which("wrk") else "own clients"
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.platform()}, {client}"
    if options.json:
        print(json.dumps({"machine": machine, "servers": found}, indent=2))
    else:
        print(machine)
        print(" | ".join(found[0]))
        for values in found:
            print(" | ".join(str(value) for value in values.values()))
    return 0 if all(row.clean for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
