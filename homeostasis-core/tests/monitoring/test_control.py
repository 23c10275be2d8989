"""The control socket: who may use it, what it answers, and that strangers and forks do no harm."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import os
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from homeostasis.monitoring import active, catching_up, channel, control, hotswap, internal, standing

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs unix sockets")

BEFORE = b"def price(cart):\n    return cart['price']\n"
AFTER = b"def price(cart):\n    return cart.get('price', 0)\n"


@pytest.fixture
def project():
    # Not tmp_path: its length under xdist would send the socket to the fall-back directory.
    with tempfile.TemporaryDirectory(prefix="ctl-") as directory:
        yield Path(directory).resolve()
        control.stop()


@pytest.fixture
def worker(project):
    """A control socket in this process, and its key."""
    path = control.start(str(project), os.getpid())
    assert path is not None
    return path, channel.load_key(project / ".homeostasis")


@pytest.fixture
def shop(project):
    """A loaded module of the project."""
    file = project / "shop.py"
    file.write_bytes(BEFORE)
    name = f"control_shop_{project.name}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


def entry(path="shop.py", before=BEFORE, after=AFTER, **other):
    return {
        "path": path,
        "before_sha256": hashlib.sha256(before).hexdigest(),
        "before": base64.b64encode(before).decode(),
        "after": base64.b64encode(after).decode(),
        **other,
    }


def test_traffic_is_told_as_totals_of_this_process(worker, project, monkeypatch):
    """Whether the spool has had it or not, and with nothing where nothing is counted."""
    path, key = worker
    assert channel.call(path, key, {"do": "traffic"}, 10.0)["routes"] == {}
    monkeypatch.setenv("HOMEOSTASIS_TRANSPORT", "memory")
    client = active.configure({"service": "shop"})
    try:
        client.traffic.count("GET", "/price", 0.02, False)
        client.traffic.collect()
        client.traffic.count("POST", "/price", 20.0, True)
        routes = channel.call(path, key, {"do": "traffic"}, 10.0)["routes"]
        assert routes == {"/price": [2, 1, 0, 0, 1, *[0] * 11, 1]}
        assert [record["count"] for record in client.traffic.collect()] == [1]
        assert client.traffic.totals() == routes
        client.traffic.after_fork()
        assert client.traffic.totals() == {"/price": [0] * 17}
    finally:
        active.reset()


def test_ping_names_the_process(worker):
    """The answer proves which process listens, and what it was given."""
    path, key = worker
    answer = channel.call(path, key, {"do": "ping"})
    assert (answer["ok"], answer["pid"], answer["releases"]) == (True, os.getpid(), [])
    assert control.start(str(Path(path).parents[2]), os.getpid()) == path


def test_swap_and_undo_go_through_the_socket(worker, shop):
    """The whole way: request, swap, status, verify, undo."""
    path, key = worker
    assert channel.call(path, key, {"do": "swap", "release": "r1", "files": [entry()]})["functions"] == 1
    assert shop.price({}) == 0
    assert channel.call(path, key, {"do": "status"})["releases"] == ["r1"]
    assert channel.call(path, key, {"do": "verify", "files": [entry()]})["runs"] is True
    assert channel.call(path, key, {"do": "undo", "release": "r1"})["known"] is True
    assert channel.call(path, key, {"do": "verify", "files": [entry()]})["runs"] is False
    with pytest.raises(KeyError):
        shop.price({})


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"do": "swap", "files": [entry()]}, "no release"),
        ({"do": "swap", "release": "r1", "files": []}, "no files"),
        ({"do": "swap", "release": "r1", "files": ["x"]}, "malformed"),
        ({"do": "swap", "release": "r1", "files": [entry(before_sha256="0" * 64)]}, "announced hash"),
        ({"do": "swap", "release": "r1", "files": [entry(path="../shop.py")]}, "does not lie in the project"),
        ({"do": "swap", "release": "r1", "files": [entry(path="/etc/passwd")]}, "does not lie in the project"),
        ({"do": "swap", "release": "r1", "files": [{**entry(), "before": "%%%"}]}, "malformed"),
        ({"do": "rm -rf"}, "does not know"),
        ({}, "does not know"),
    ],
)
def test_bad_requests_are_answered_with_a_sentence(worker, request_, reason):
    """An authenticated but malformed request changes nothing and says what is wrong."""
    path, key = worker
    answer = channel.call(path, key, request_)
    assert answer["ok"] is False
    assert reason in answer["refused"]


def test_a_wrong_key_gets_no_answer(worker, shop):
    """Without the key nothing is carried out and nothing is said; the worker goes on serving."""
    path, key = worker
    with pytest.raises(channel.ChannelError):
        channel.call(path, b"x" * 32, {"do": "swap", "release": "r1", "files": [entry()]})
    with pytest.raises(KeyError):
        shop.price({})
    assert channel.call(path, key, {"do": "ping"})["ok"]


def test_a_recorded_request_cannot_be_played_again(worker):
    """Each connection has nonces of its own."""
    path, key = worker
    own = b"n" * 32
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(path)
        nonce = channel.receive_exactly(first, 32)
        recorded = bytearray()

        class Recorder:
            def sendall(self, content):
                recorded.extend(content)

        channel.Seal(key, nonce, own).send(Recorder(), b"request", {"do": "ping"})
        first.sendall(own + bytes(recorded))
        assert channel.Seal(key, nonce, own).receive(first, b"answer")["ok"]
    with socket.socket(socket.AF_UNIX) as second:
        second.connect(path)
        assert channel.receive_exactly(second, 32) != nonce
        second.sendall(own + bytes(recorded))
        assert second.recv(1) == b""


def test_an_answer_of_a_stranger_is_not_believed(tmp_path):
    """A socket that somebody put in the worker's place cannot claim success."""
    path = str(tmp_path / "fake.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(1)

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"n" * 32)
                channel.receive_exactly(connection, 32 + 4 + 32 + len('{"do": "ping"}'))
                body = b'{"ok": true}'
                connection.sendall(struct.pack(">I", len(body)) + b"m" * 32 + body)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(channel.ChannelError, match="not sealed"):
            channel.call(path, b"k" * 32, {"do": "ping"})
        thread.join()


@pytest.mark.parametrize("garbage", [b"", b"GET / HTTP/1.0\r\n\r\n", b"n" * 32 + b"\xff" * 200, b"n" * 32 + b"\0" * 36])
def test_garbage_does_not_stop_the_server(worker, garbage):
    """Short, foreign, too long or unsealed input is dropped, and the next request is served."""
    path, key = worker
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(path)
        stranger.sendall(garbage)
        stranger.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while stranger.recv(4096):
                pass
    assert channel.call(path, key, {"do": "ping"})["ok"]


def test_only_the_owner_may_enter(worker, project):
    """Directory, socket and key are closed to other users."""
    path, _ = worker
    state = project / ".homeostasis"
    for private in (state, Path(path).parent, state / "control.key", Path(path)):
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0
    assert (state / ".gitignore").read_text() == "*\n"


def test_a_key_that_others_can_read_is_refused(project):
    """It may have been copied; the sentence says what to do."""
    key = project / ".homeostasis" / "control.key"
    channel.load_key(key.parent)
    key.chmod(0o644)
    with pytest.raises(channel.ChannelError, match="delete it"):
        channel.load_key(key.parent)


@pytest.mark.parametrize("content", ["", "zz", "00" * 31, "é"])
def test_a_damaged_key_is_refused(project, content):
    """A short key is no key."""
    key = project / ".homeostasis" / "control.key"
    channel.load_key(key.parent)
    key.write_text(content, encoding="utf-8")
    with pytest.raises(channel.ChannelError, match="holds no key"):
        channel.load_key(key.parent)


def test_several_that_make_the_key_at_once_agree(project):
    """The app's workers and the orchestrator start together: one key wins."""
    keys = []
    barrier = threading.Barrier(8)

    def make():
        barrier.wait()
        keys.append(channel.load_key(project / ".homeostasis"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert [path.name for path in (project / ".homeostasis").iterdir()] == ["control.key"]


def test_a_long_project_path_gets_a_short_socket(tmp_path):
    """Unix sockets take about a hundred bytes: then a private temporary directory is used, and removed."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = control.start(str(deep), os.getpid())
    try:
        assert len(os.fsencode(path)) <= 100
        assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
        assert channel.call(path, channel.load_key(deep / ".homeostasis"), {"do": "ping"})["ok"]
    finally:
        control.stop()
    assert not Path(path).parent.exists()


def test_a_linked_socket_directory_is_refused(project, monkeypatch):
    """A link could lead into a directory of somebody else: no socket, and the app goes on."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT", raising=False)
    (project / "elsewhere").mkdir()
    (project / ".homeostasis").mkdir()
    (project / ".homeostasis" / "control").symlink_to(project / "elsewhere")
    assert control.start(str(project), os.getpid()) is None


def test_a_forked_child_opens_its_own_door(worker, project):
    """The child answers under its own number, and the parent's socket stays the parent's."""
    path, key = worker
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        own = control.start(str(project), os.getpid())
        os.write(write, (own or "").encode() + b"\n")
        threading.Event().wait(60)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        childs_path = pipe.readline().strip()
    try:
        assert childs_path != path
        assert channel.call(childs_path, key, {"do": "ping"})["pid"] == child
        assert channel.call(path, key, {"do": "ping"})["pid"] == os.getpid()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert Path(path).exists()
    control.stop()
    assert control.start(str(project), os.getpid()) == path
    assert not Path(childs_path).exists()  # swept: its process is gone


def test_a_silent_peer_is_dropped(project, monkeypatch):
    """It holds the door for a moment only."""
    monkeypatch.setattr(control, "_PATIENCE", 0.05)
    path = control.start(str(project), os.getpid())
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(path)
        assert channel.call(path, channel.load_key(project / ".homeostasis"), {"do": "ping"})["ok"]


def test_a_missing_worker_is_told(tmp_path):
    """The error names the socket."""
    with pytest.raises(channel.ChannelError, match=r"gone\.sock"):
        channel.call(str(tmp_path / "gone.sock"), b"k" * 32, {"do": "ping"})


def test_a_swap_that_nobody_hears_of_is_taken_back(worker, shop):
    """Who asked gave up and went away, so the others were not swapped either."""
    path, key = worker
    with socket.socket(socket.AF_UNIX) as hasty:
        hasty.connect(path)
        nonce = channel.receive_exactly(hasty, 32)
        hasty.sendall(b"n" * 32)
        with hotswap._lock:  # the worker is busy, until after the connection is closed
            channel.Seal(key, nonce, b"n" * 32).send(
                hasty, b"request", {"do": "swap", "release": "r1", "files": [entry()]}
            )
            hasty.close()
    assert channel.call(path, key, {"do": "ping"})["releases"] == []
    with pytest.raises(KeyError):
        shop.price({})


def test_another_user_gets_no_answer(worker, project):
    """Even with the key, and with directories and socket open to everybody."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    path, key = worker
    for opened in (project, project / ".homeostasis", Path(path).parent):
        opened.chmod(0o755)
    Path(path).chmod(0o666)
    child = os.fork()
    if child == 0:
        status = 2
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(path)
                status = 0 if stranger.recv(1) == b"" else 1  # closed without a nonce
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert channel.call(path, key, {"do": "ping"})["ok"]


def until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_worker_that_starts_later_gets_what_lives_in_no_file(project, shop):
    """In the order of the releases; one that was removed, forged, or made for another text is left out."""
    state = channel.private_directory(project / ".homeostasis")
    standing.save(state, "stale", [entry(before=b"def price(cart): ...\n")])
    standing.save(state, "r1", [entry()])
    standing.save(state, "r1", [entry()])
    standing.save(state, "removed", [entry()])
    standing.remove(state, "removed")
    text = next((state / "hotswap").glob(f"*-{hashlib.sha256(b'r1').hexdigest()[:24]}.json")).read_bytes()
    (state / "hotswap" / "0-forged.json").write_bytes(text.replace(b'"r1"', b'"r2"'))
    assert [one["release"] for one in standing.load(state)] == ["stale", "r1"]
    control.start(str(project), os.getpid())
    until(lambda: hotswap.releases() == ["r1"], "the worker caught up")
    assert shop.price({}) == 0
    hotswap.undo("r1")


def test_a_release_that_is_taken_back_meanwhile_does_not_stay(project, shop, monkeypatch):
    """The rollback came while the worker was swapping by itself."""
    state = channel.private_directory(project / ".homeostasis")
    standing.save(state, "r1", [entry()])
    swap, undone = hotswap.swap, threading.Event()

    def swap_late(release, changes):
        standing.remove(state, release)
        done = swap(release, changes)
        undone.set()
        return done

    monkeypatch.setattr(hotswap, "swap", swap_late)
    control.start(str(project), os.getpid())
    assert undone.wait(30)
    until(lambda: hotswap.releases() == [], "the swap was undone")
    with pytest.raises(KeyError):
        shop.price({})


def test_what_goes_wrong_while_catching_up_is_no_incident_of_the_app(project, shop, monkeypatch):
    """Also what nobody foresaw: it is counted, and the thread ends."""
    state = channel.private_directory(project / ".homeostasis")
    standing.save(state, "r1", [entry()])
    monkeypatch.setenv("HOMEOSTASIS_STRICT", "0")
    monkeypatch.setattr(hotswap, "swap", lambda *_: next(iter(())))
    escaped = []
    monkeypatch.setattr(threading, "excepthook", escaped.append)
    catching_up.start(str(project), state, control._changes, lambda: False)
    doing = "catching up with releases that live in no file: StopIteration"
    until(lambda: escaped or internal.failures().get(doing), "the thread has ended")
    assert not escaped


def test_standing_releases_are_private(project):
    """They can be read by their owner only, as source code may be secret."""
    state = channel.private_directory(project / ".homeostasis")
    standing.save(state, "r1", [entry()])
    paths = list((state / "hotswap").iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in (state / "hotswap", *paths)] == [0o700, 0o600]
