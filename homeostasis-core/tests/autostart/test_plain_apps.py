"""WSGI and ASGI callables of no framework, served by real servers, in processes that know nothing of Homeostasis."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path
from typing import Any

import pytest

WSGI = """
PRICES = {"/price/apple": b"3"}

def app(environ, start_response):
    price = PRICES[environ["PATH_INFO"]]
    start_response("200 OK", [("Content-Length", "1")])
    return [price]
"""
ASGI = """
PRICES = {"/price/apple": b"3"}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    price = PRICES[scope["path"]]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": price})
"""
SET_UP = (
    "\nfrom homeostasis.monitoring import setup_monitoring\napp = setup_monitoring(app, config={'service': 'own'})\n"
)
WRAPPED = "\ninner = app\ndef app(environ, start_response):\n    return inner(environ, start_response)\n"
WSGIREF = """
import os, socketserver, sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
import shop

class Local(WSGIServer):
    address_family = socketserver.socket.AF_UNIX

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 80
        self.setup_environ()

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("127.0.0.1", 1)

server = Local("SOCKET", WSGIRequestHandler)
server.set_app(shop.app)
server.serve_forever()
"""
COMMANDS = {
    "gunicorn": (WSGI, ("-m", "gunicorn", "-b", "unix:SOCKET", "shop:app")),
    "gunicorn-preload": (WSGI, ("-m", "gunicorn", "--preload", "-w", "2", "-b", "unix:SOCKET", "shop:app")),
    "gunicorn-own": (WSGI + SET_UP, ("-m", "gunicorn", "-b", "unix:SOCKET", "shop:app")),
    "gunicorn-own-wrapped": (WSGI + SET_UP + WRAPPED, ("-m", "gunicorn", "-b", "unix:SOCKET", "shop:app")),
    "uvicorn": (ASGI, ("-m", "uvicorn", "--uds", "SOCKET", "shop:app")),
    "uvicorn-workers": (ASGI, ("-m", "uvicorn", "--workers", "2", "--uds", "SOCKET", "shop:app")),
    "uvicorn-own": (ASGI + SET_UP, ("-m", "uvicorn", "--uds", "SOCKET", "shop:app")),
    "wsgiref": (WSGI, ("-c", WSGIREF)),
    "waitress": (WSGI, ("-m", "waitress", "--unix-socket", "SOCKET", "shop:app")),
    "hypercorn": (ASGI, ("-m", "hypercorn", "-b", "unix:SOCKET", "shop:app")),
}


@pytest.mark.slow  # starts real servers
@pytest.mark.parametrize("name", COMMANDS)
def test_served_apps(serve: Any, events: Any, records: Any, project: Path, name: str) -> None:
    """Crashes come with their request, requests are counted once, and an app that set itself up keeps its settings."""
    source, command = COMMANDS[name]
    if importlib.util.find_spec(name.split("-")[0]) is None:
        pytest.skip(f"{name} is not installed")
    (project / "shop.py").write_text(source, encoding="utf-8")
    server = serve(*command)
    server.wait_for(lambda: server.ask("/price/apple") == 200)
    asked = 1
    server.ask("/price/pear?a=1")
    (event,) = server.wait_for(events)
    assert event["exceptions"][0]["type"] == "KeyError"
    assert (event["request"]["path"], event["request"]["query"]) == ("/price/pear", "a=1")
    assert (event["service"] == "own") == ("own" in name)
    assert event["exceptions"][0]["frames"][-1]["in_app"]

    def counted() -> dict[str, int]:
        found: dict[str, int] = {}
        for record in records():
            if record["record"] == "traffic":
                found[record["attributes"]["http.route"]] = (
                    found.get(record["attributes"]["http.route"], 0) + record["count"]
                )
        return found

    expected = {"/price/apple": asked, "/price/pear": 1}
    assert server.wait_for(lambda: counted() if sum(counted().values()) >= 2 else None) == expected
    assert server.end() in (0, -signal.SIGTERM)


@pytest.mark.slow  # starts a real server
def test_routes_are_not_hidden(serve: Any, events: Any, project: Path) -> None:
    """A middleware around a Flask app is no plain app: the request keeps its route."""
    pytest.importorskip("flask")
    pytest.importorskip("gunicorn")
    (project / "shop.py").write_text(
        "from flask import Flask\nfrom werkzeug.middleware.proxy_fix import ProxyFix\nflask = Flask(__name__)\n"
        "@flask.get('/price/<sku>')\ndef price(sku):\n    return {}[sku]\napp = ProxyFix(flask)\n",
        encoding="utf-8",
    )
    server = serve("-m", "gunicorn", "-b", "unix:SOCKET", "shop:app")
    server.wait_for(lambda: server.ask("/price/pear") == 500)
    (event,) = server.wait_for(events)
    assert event["request"]["route"] == "/price/<sku>"
