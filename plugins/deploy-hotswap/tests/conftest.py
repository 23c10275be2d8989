"""Real servers with a small shop, and clients that load them, for the tests of both deployers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from homeostasis.models import Effect, FileEdit, Patch
from homeostasis.project import Project
from homeostasis.workers import live_workers
from homeostasis_deploy_hotswap.settings import HotswapTable, ReloadTable
from homeostasis_deploy_hotswap.workers import ask

# The app registers by itself what `homeostasis.monitoring` would: these tests are about the other end.
APP = b"""\
import json, os, time
import registration
from flask import Flask

STARTED = time.time()


def create_app():
    app = Flask(__name__)
    prices = {"tea": 3}

    @app.get("/price/<name>")
    def price(name):
        return {"price": prices[name], "pid": os.getpid()}

    @app.get("/ping")
    def ping():
        return "ok"

    @app.get("/slow")
    def slow():
        open("started", "w").close()
        deadline = time.time() + 30
        while not os.path.exists("go") and time.time() < deadline:
            time.sleep(0.02)
        return "ended"

    return app


app = create_app()
registration.register()
"""
REGISTRATION = b"""\
import atexit, json, os, time
from homeostasis.monitoring import control

SERVER = None

def register():
    root = os.environ.get("HOMEOSTASIS_PROJECT") or os.getcwd()
    path = os.path.join(root, ".homeostasis", "workers", f"{os.getpid()}.json")
    record = {
        "pid": os.getpid(), "ppid": os.getppid(), "started": time.time(), "service": "shop",
        "server": os.environ.get("SERVER_NAME_FOR_TEST"), "control": control.start(root, os.getpid()),
    }
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as stream:
        json.dump(record, stream)
    os.replace(path + ".new", path)
    atexit.register(os.unlink, path)
"""
RETURN = b'return {"price": prices[name], "pid": os.getpid()}'


def until(condition, what, seconds=60.0):
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Shop:
    """A project with the shop, its server and its clients."""

    def __init__(self, root):
        self.root = root
        self.file = root / "shop.py"
        self.file.write_bytes(APP)
        (root / "registration.py").write_bytes(REGISTRATION)
        self.project = Project.load(root)
        self.process = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def environment(self, server):
        env = {name: value for name, value in os.environ.items() if not name.startswith("GUNICORN")}
        return {**env, "HOMEOSTASIS_PROJECT": str(self.root), "SERVER_NAME_FOR_TEST": server}

    def gunicorn(self, *options, workers=2):
        argv = ["gunicorn", "-w", str(workers), "-b", f"127.0.0.1:{self.port}", "--log-level", "error"]
        self.serve([*argv, "--worker-class", "gthread", "--threads", "4", *options, "shop:app"], workers)

    def uvicorn(self, workers=1):
        options = ["--workers", str(workers)] if workers > 1 else []
        self.serve(["uvicorn", "--port", str(self.port), "--log-level", "error", *options, "shop:app"], workers)
        until(self.listens, "uvicorn listens")

    def serve(self, argv, workers):
        self.log = (self.root / "server.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *argv],
            cwd=self.root,
            env=self.environment(argv[0]),
            stdout=self.log,
            stderr=self.log,
        )
        until(lambda: len(live_workers(self.project)) == workers, "the workers registered")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.log.close()

    def pids(self):
        return [worker.pid for worker in live_workers(self.project)]

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def price(self, name="x17"):
        """(status, price) as all workers give it: asked until each has answered."""
        answers, asked = {}, set(self.pids())
        for _ in range(400):
            status, body = self.get(f"/price/{name}")
            if status == 500:
                answers[len(answers)] = (500, None)
                if len(answers) >= 12:
                    break
            else:
                found = json.loads(body)
                answers[found["pid"]] = (status, found["price"])
                if asked <= set(answers):
                    break
        assert len(set(answers.values())) == 1, f"the workers disagree: {answers}"
        return next(iter(answers.values()))

    def patch(self, after=None, before=APP, **fields):
        after = before.replace(b"prices[name]", b"prices.get(name, 0)") if after is None else after
        edits = (FileEdit(path="shop.py", before=before, after=after),)
        return Patch(id="p1", rule_id="r", edits=edits, effect=Effect.RECOVER, summary="Use 0", **fields)


class Load:
    """Clients that ask all the time; `bad` collects what went wrong."""

    def __init__(self, shop, path="/price/tea", clients=4):
        self.shop, self.path = shop, path
        self.good, self.bad = 0, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self):
        while not self._stop.is_set():
            try:
                status, body = self.shop.get(self.path)
            except OSError as error:
                self.bad.append(repr(error))
                continue
            if status == 200:
                self.good += 1
            else:
                self.bad.append((status, body[:200]))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


class SlowRequest:
    """A request that begins before the block, and ends some time after the block has begun."""

    def __init__(self, shop, seconds=1.0):
        self.shop, self.answer = shop, None
        self._thread = threading.Thread(target=self._ask)
        self._end = threading.Timer(seconds, (shop.root / "go").touch)

    def _ask(self):
        try:
            self.answer = self.shop.get("/slow")
        except OSError as error:
            self.answer = repr(error)

    def __enter__(self):
        self._thread.start()
        until((self.shop.root / "started").exists, "the slow request began")
        self._end.start()
        return self

    def __exit__(self, *_):
        self._end.join()
        self._thread.join()


class Recorder:
    """A journal that remembers."""

    def __init__(self):
        self.undo, self.facts = None, {}

    def intend(self, undo):
        assert self.undo is None, "intend is called once"
        self.undo = json.loads(json.dumps(undo))

    def fact(self, name, value):
        assert self.undo is not None, "nothing happens before the intent is recorded"
        self.facts[name] = json.loads(json.dumps(value))


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path.resolve())
    yield made
    made.stop()


@pytest.fixture
def kit():
    """What tests need beside the shop."""

    class Kit:
        app, line = APP, RETURN
        load, recorder, slow_request = Load, Recorder, SlowRequest
        hotswap, reload = HotswapTable, ReloadTable

        @staticmethod
        def releases(worker, project):
            return ask(worker, project, {"do": "status"}, 30.0)["releases"]

        wait = staticmethod(until)
        dedent = staticmethod(textwrap.dedent)

    return Kit
