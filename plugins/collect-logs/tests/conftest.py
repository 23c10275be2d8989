"""A small project that crashes, and the collector driven look by look."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from homeostasis.collecting.events import EventMaker
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_logs.collector import Watch, scanner_for
from homeostasis_collect_logs.listening.listener import LogListener
from homeostasis_collect_logs.settings import CollectLogsSettings

PATIENCE = 30.0
"""Seconds after which something that does not come counts as lost."""

CART = '''\
class CartError(Exception):
    """Ours."""


class Cart:
    def total(self, rows):
        return sum(self.price(row) for row in rows)

    def price(self, row):
        return row["price"]


def cause():
    try:
        Cart().total([{}])
    except KeyError as error:
        raise CartError("no total") from error


def context():
    try:
        Cart().total([{}])
    except KeyError:
        raise CartError("two\\nlines")


def plain():
    Cart().total([{}])
'''


@pytest.fixture
def place(project_factory):
    """A project with the package `shop`, as the app and the healer see it."""
    return project_factory({"shop/__init__.py": "", "shop/cart.py": CART}, {"plugins": ["spool", "collect-logs"]})


@pytest.fixture
def run_app(place):
    """Runs Python in the project and returns what it wrote to standard error."""

    def run(code, *words):
        (place.root / "main.py").write_text(code, encoding="utf-8")
        env = {**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, "main.py", *words], cwd=place.root, env=env, capture_output=True, check=False
        )
        return done.stderr.decode()

    return run


@pytest.fixture
def events_in(place):
    """The events of a text, None for a crash of other code."""

    def read(text, **settings):
        table = CollectLogsSettings(**settings)
        scanner, maker = scanner_for(table)(0), EventMaker(place, table)
        data = text if isinstance(text, bytes) else text.encode()
        for at in range(0, len(data), 4096):
            scanner.feed(data[at : at + 4096], 0.0)
        scanner.finish()
        return [maker.event(found) for found in scanner.take()]

    return read


class Watched:
    """The collector without its pauses. `restart` stands for a process that was killed."""

    def __init__(self, place, **settings):
        self.place = place
        self.settings = CollectLogsSettings(**{"files": ["*.log"], "settle": 0, "recapture": 0, **settings})
        self.sink = MemorySink()
        self.watch = None
        self.restart()

    def restart(self):
        if self.watch:
            self.watch.close()
        self.watch = Watch(self.place, self.settings, self.sink, threading.Event())

    def look(self):
        while not self.watch.look():
            pass
        return self.messages

    @property
    def messages(self):
        return [event.raised.message.strip("'") for event in self.sink.events]


@pytest.fixture
def watched(place):
    """Makes a `Watched` with settings; its files are closed at the end."""
    made = []

    def make(**settings):
        made.append(Watched(place, **settings))
        return made[-1]

    yield make
    for each in made:
        each.watch.close()


class Listening:
    """A listener in a thread, as the engine runs it."""

    def __init__(self, place, address, sink=None, **settings):
        self.sink = sink or MemorySink()
        self.address = address
        table = CollectLogsSettings(**{"listen": [address], "settle": 0.2, "recapture": 0, **settings})
        self.listener = LogListener(place, table)
        self.raised = []
        self.start()

    def start(self):
        self._stop = threading.Event()
        self.listener.ports = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.until(lambda: self.listener.ports or self.raised)

    def _run(self):
        try:
            self.listener.run(self.sink, self._stop)
        except Exception as error:
            self.raised.append(error)

    @property
    def port(self):
        return self.listener.ports[self.address]

    def connect(self):
        made = socket.create_connection(("127.0.0.1", self.port))
        made.settimeout(PATIENCE)
        return made

    def until(self, true):
        deadline = time.monotonic() + PATIENCE
        while not (found := true()):
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.01)
        return found

    def events(self, count):
        self.until(lambda: len(self.sink.events) >= count)
        return list(self.sink.events)

    def lost(self, reason, count=1):
        """How often it was lost, once that is at least `count` times."""
        self.until(lambda: self._lost(reason) >= count)
        return self._lost(reason)

    def _lost(self, reason):
        return sum(count for name, count in self.sink.losses if name == reason)

    def stop(self):
        self._stop.set()
        self._thread.join()


@pytest.fixture
def listening(place):
    """Makes a `Listening` at an address with settings; all end with the test."""
    made = []

    def make(address, sink=None, **settings):
        made.append(Listening(place, address, sink, **settings))
        assert made[-1].listener.ports, made[-1].raised
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, and certificates of it for a server and a client."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.pem")

    def connect(port, own):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(folder / "ca.pem")
        if own is not None:
            context.load_cert_chain(*own)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", port)))

    pair = {name: (str(folder / f"{name}.pem"), str(folder / f"{name}.key")) for name in ("server", "client")}
    return SimpleNamespace(authority=str(folder / "ca.pem"), connect=connect, **pair)
