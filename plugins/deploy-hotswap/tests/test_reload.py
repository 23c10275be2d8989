"""The deployer `reload`: gunicorn, the supervised app, a command; what it waits for and what it says when it fails."""

from __future__ import annotations

import http.server
import os
import sys
import threading

import pytest

from homeostasis.errors import DeployError
from homeostasis.models import Step
from homeostasis.supervisor import Supervisor
from homeostasis_deploy_hotswap import reload

SERVE = "from shop import app; app.run(host='127.0.0.1', port={port}, threaded=True)"


@pytest.fixture
def deploy(shop, kit):
    def _deploy(patch, **settings):
        journal = kit.recorder()
        _deploy.journals.append(journal)
        journal.said = reload.deploy(patch, shop.project, kit.reload(**settings), journal)
        return journal

    _deploy.journals = []
    return _deploy


@pytest.fixture
def undo(shop, kit):
    def _undo(journal, patch, **settings):
        step = Step(deployer="reload", state="done", undo=journal.undo or {}, facts=journal.facts)
        reload.undo(step, patch, shop.project, kit.reload(**settings))

    return _undo


def test_gunicorn_loads_the_files_without_a_failed_request(shop, deploy, undo, kit):
    """Graceful on the way there and back; file and answers are restored."""
    shop.gunicorn("--worker-class", "sync", "--threads", "1")  # gthread of gunicorn 23 drops connections on a reload
    patch = shop.patch()
    patch.apply(shop.root)
    with kit.load(shop, clients=2) as load:
        journal = deploy(patch)
        assert journal.facts["method"] == "reload"
        assert journal.facts["workers"] == shop.pids()
        undo(journal, patch)
    assert load.bad == []
    assert shop.price() == (500, None)
    assert shop.file.read_bytes() == patch.edits[0].before


@pytest.mark.parametrize("where", ["command line", "configuration"])
def test_gunicorn_with_preload_is_told_to_need_another_way(shop, deploy, undo, where):
    """A hang-up keeps the preloaded code: that must not pass for a success, and can be undone."""
    registering = shop.root / "gunicorn_config.py"
    preload = "preload_app = True\n" if where == "configuration" else ""
    registering.write_text(
        f"{preload}def post_fork(server, worker):\n    import registration\n    registration.register()\n",
        encoding="utf-8",
    )
    shop.file.write_bytes(shop.file.read_bytes().replace(b"registration.register()\n", b""))
    before = shop.file.read_bytes()
    shop.gunicorn("-c", str(registering), *(["--preload"] if where == "command line" else []))
    patch = shop.patch(before=before)
    patch.apply(shop.root)
    with pytest.raises(DeployError, match=r"preload.*set `systemd_unit` or `command`"):
        deploy(patch)
    failed = deploy.journals[-1]
    undo(failed, patch)
    assert shop.file.read_bytes() == before
    assert shop.price() == (500, None)


def test_requests_in_flight_get_their_answer_from_gunicorn(shop, deploy, kit):
    """The old worker ends after the slow request; the reload waits for it."""
    shop.gunicorn("--worker-class", "sync", "--threads", "1")
    patch = shop.patch()
    patch.apply(shop.root)
    with kit.slow_request(shop) as slow:
        deploy(patch)
    assert slow.answer == (200, b"ended")
    assert shop.price() == (200, 0)


ASGI_APP = b"""\
import asyncio, os
import registration
from fastapi import FastAPI

app = FastAPI()


@app.get("/price/{name}")
def price(name):
    return {"price": {"tea": 3}[name], "pid": os.getpid()}


@app.get("/slow")
async def slow():
    open("started", "w").close()
    for _ in range(1500):
        if os.path.exists("go"):
            break
        await asyncio.sleep(0.02)
    return "ended"


registration.register()
"""


def test_uvicorns_workers_are_replaced(shop, deploy, undo, kit):
    """Its parent gets a hang-up; requests in flight are answered, and nobody is refused."""
    pytest.importorskip("fastapi")
    shop.file.write_bytes(ASGI_APP)
    shop.uvicorn(workers=2)
    patch = shop.patch(ASGI_APP.replace(b'{"tea": 3}[name]', b'{"tea": 3}.get(name, 0)'), before=ASGI_APP)
    old = shop.pids()
    patch.apply(shop.root)
    with kit.slow_request(shop) as slow:
        journal = deploy(patch)
    assert slow.answer == (200, b'"ended"')
    assert journal.facts["method"] == "reload"
    assert not set(old) & set(shop.pids())
    assert shop.price() == (200, 0)
    undo(journal, patch)
    assert shop.price() == (500, None)


def test_uvicorn_without_workers_of_its_own_is_not_signalled(shop, deploy):
    """Its parent is whoever started it: here, this test."""
    pytest.importorskip("fastapi")
    shop.file.write_bytes(ASGI_APP)
    shop.uvicorn()
    patch = shop.patch(ASGI_APP.replace(b'{"tea": 3}[name]', b'{"tea": 3}.get(name, 0)'), before=ASGI_APP)
    patch.apply(shop.root)
    with pytest.raises(DeployError, match="nothing can make the app load its files anew"):
        deploy(patch)


def test_a_systemd_unit(shop, deploy, undo, monkeypatch):
    """`systemctl` is run as an operator would; here one that reloads the gunicorn of the test."""
    shop.gunicorn("--worker-class", "sync", "--threads", "1")
    programs = shop.root / "programs"
    programs.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> called\nexec kill -HUP {shop.process.pid}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    patch = shop.patch()
    patch.apply(shop.root)
    journal = deploy(patch, systemd_unit="shop@1.service")
    assert journal.said.startswith("ran systemctl reload-or-restart shop@1.service")
    assert shop.price() == (200, 0)
    undo(journal, patch, systemd_unit="shop@1.service")
    assert shop.price() == (500, None)
    assert (shop.root / "called").read_text() == "reload-or-restart shop@1.service\n" * 2


def test_an_app_that_becomes_unhealthy_is_undone(shop, deploy, undo, kit):
    """The patched ping answers 503, so the step fails; its undo brings the old files and workers back."""
    shop.gunicorn("--worker-class", "sync", "--threads", "1")
    patch = shop.patch(kit.app.replace(b'return "ok"', b'return "ill", 503'))
    url = f"http://127.0.0.1:{shop.port}/ping"
    patch.apply(shop.root)
    with pytest.raises(DeployError, match="/ping answers 503"):
        deploy(patch, health_url=url, timeout=10.0)
    undo(deploy.journals[-1], patch, health_url=url)
    assert shop.get("/ping") == (200, b"ok")
    assert shop.file.read_bytes() == kit.app


def test_a_supervised_server_ends_its_requests_before_the_restart(shop, deploy, kit):
    """gunicorn that was told to preload cannot be reloaded by a hang-up, so its supervisor restarts it gracefully."""
    registering = shop.root / "gunicorn_config.py"
    registering.write_text(
        "def post_fork(server, worker):\n    import registration\n    registration.register()\n", encoding="utf-8"
    )
    before = kit.app.replace(b"registration.register()\n", b"")
    shop.file.write_bytes(before)
    address = f"127.0.0.1:{shop.port}"
    argv = [sys.executable, "-m", "gunicorn", "--preload", "-c", str(registering), "-b", address, "shop:app"]
    supervisor = Supervisor(argv, shop.project, env={"SERVER_NAME_FOR_TEST": "gunicorn"})
    supervisor.start()
    try:
        kit.wait(shop.pids, "the worker registered")
        patch = shop.patch(before=before)
        patch.apply(shop.root)
        with kit.slow_request(shop) as slow:
            journal = deploy(patch, health_url=f"http://{address}/ping")
        assert slow.answer == (200, b"ended")
        assert journal.facts["method"] == "restart"
        assert shop.price() == (200, 0)
    finally:
        supervisor.stop()


def test_the_supervised_app_is_restarted(shop, deploy, undo, kit):
    """Flask's own server, started as `homeostasis run` does."""
    argv = [sys.executable, "-c", SERVE.format(port=shop.port)]
    supervisor = Supervisor(argv, shop.project, env={"SERVER_NAME_FOR_TEST": "none"})
    supervisor.start()
    try:
        kit.wait(shop.pids, "the app registered")
        patch, url = shop.patch(), f"http://127.0.0.1:{shop.port}/ping"
        patch.apply(shop.root)
        journal = deploy(patch, health_url=url)
        assert journal.facts == {"method": "restart", "workers": [supervisor.pid]}
        assert shop.get("/price/x17")[0] == 200
        undo(journal, patch, health_url=url)
        assert shop.get("/price/x17")[0] == 500
    finally:
        supervisor.stop()


def test_an_app_that_does_not_come_back_is_told(shop, deploy, kit):
    """The restarted command ends at once."""
    argv = [sys.executable, "-c", "import os; os.path.exists('broken') and exit(5); " + SERVE.format(port=shop.port)]
    supervisor = Supervisor(argv, shop.project)
    supervisor.start()
    try:
        kit.wait(shop.pids, "the app registered")
        (shop.root / "broken").touch()
        patch = shop.patch()
        patch.apply(shop.root)
        with pytest.raises(DeployError, match="ended with 5 after the restart"):
            deploy(patch)
    finally:
        supervisor.stop()


def test_a_command_of_the_owner(shop, deploy):
    """It runs in the project's root; a failure shows its last line."""
    patch = shop.patch()
    patch.apply(shop.root)
    ran = [sys.executable, "-c", "open('ran', 'w').close()"]
    assert deploy(patch, command=ran).facts == {"method": "restart", "workers": []}
    assert (shop.root / "ran").exists()
    with pytest.raises(DeployError, match="ended with 1: no such unit"):
        deploy(patch, command=[sys.executable, "-c", "raise SystemExit('no such unit')"])
    with pytest.raises(DeployError, match="cannot be run"):
        deploy(patch, command=["./missing"])
    with pytest.raises(DeployError, match="took longer than"):
        deploy(patch, command=[sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)


def test_an_unhealthy_app_is_told(shop, deploy):
    """After the reload the health address answers 503."""

    class Unhealthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Unhealthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        patch = shop.patch()
        patch.apply(shop.root)
        url = f"http://127.0.0.1:{server.server_port}/"
        with pytest.raises(DeployError, match="answers 503"):
            deploy(patch, command=[sys.executable, "-c", ""], health_url=url, timeout=2.0)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_to_reload_with_and_nothing_to_load(shop, deploy, undo, kit):
    """Both refusals say what to do; a step without an intent is undone by doing nothing."""
    patch = shop.patch()
    with pytest.raises(DeployError, match="put working-tree before reload"):
        deploy(patch)
    patch.apply(shop.root)
    with pytest.raises(DeployError, match="homeostasis run"):
        deploy(patch)
    undo(kit.recorder(), patch)
    assert shop.file.read_bytes() == patch.edits[0].after
    failed = kit.recorder()
    failed.intend({"reloads": True})
    undo(failed, patch)
    assert shop.file.read_bytes() == patch.edits[0].before
    done = kit.recorder()
    done.intend({"reloads": True})
    done.fact("method", "reload")
    with pytest.raises(DeployError, match="homeostasis run"):
        undo(done, patch)


def test_health_addresses_are_http(kit):
    """A file or another scheme is a configuration error."""
    with pytest.raises(ValueError, match="http://"):
        kit.reload(health_url="file:///etc/passwd")


@pytest.mark.parametrize(
    "settings", [{"systemd_unit": "shop; reboot"}, {"systemd_unit": "--now"}, {"systemd_unit": "a", "command": ["b"]}]
)
def test_a_unit_is_a_name_and_the_only_way(kit, settings):
    """No option, no second word, and not beside a command."""
    with pytest.raises(ValueError, match="systemd_unit"):
        kit.reload(**settings)
