"""`demo`: its parts one by one, and once as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import homeostasis
from homeostasis.cli.demo.service import copy_example, find_examples, free_ports
from homeostasis.cli.demo.traffic import Answer, load_traffic, send
from homeostasis.cli.demo.watcher import Watcher
from homeostasis.engine import Notice
from homeostasis.errors import UsageError
from homeostasis.models import Incident, Request


@pytest.mark.parametrize("name", ["flask-shop", "fastapi-orders"])
def test_the_examples_come_with_traffic_of_both_kinds(name):
    """Each example has healthy requests and at least five crashing ones, whose proper answers are never a 5xx."""
    traffic = load_traffic(find_examples() / name / "traffic.json")
    assert len(traffic.healthy) >= 8
    assert len(traffic.crashing) >= 5
    assert all(high < 500 for call in traffic.crashing for _, high in call.accept)
    assert not any(call.is_proper(Answer(500, b"")) for call in traffic.crashing)


def test_outside_a_checkout_the_examples_are_missed_in_words(monkeypatch, tmp_path):
    """Where the examples are not to be found, the sentence says where they are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(homeostasis, "__file__", str(tmp_path / "site" / "homeostasis" / "__init__.py"))
    with pytest.raises(UsageError, match="inside a checkout"):
        find_examples()


def test_a_copy_is_a_repository_with_one_clean_commit(tmp_path):
    """The copy is committed whole, without the traffic file; an existing directory is not touched."""
    target = tmp_path / "copy"
    copy_example(find_examples() / "flask-shop", target)
    git = ["git", "-C", str(target)]
    assert subprocess.run([*git, "status", "--porcelain"], capture_output=True, check=True).stdout == b""
    assert subprocess.run([*git, "rev-list", "--count", "HEAD"], capture_output=True, check=True).stdout == b"1\n"
    assert not (target / "traffic.json").exists()
    with pytest.raises(UsageError, match="exists already"):
        copy_example(find_examples() / "flask-shop", target)


def test_ports_are_free_and_different():
    """Ports that are asked for together are different ones."""
    assert len(set(free_ports(5))) == 5


def test_requests_are_sent_as_they_are_and_silence_is_status_0(tmp_path):
    """Method, path, query and JSON body arrive; a server that is not there answers 0."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append((self.path, self.rfile.read(int(self.headers["Content-Length"])), self.headers["Content-Type"]))
            self.send_response(418)
            self.end_headers()
            self.wfile.write(b"short")

        def log_message(self, *_):
            pass

    file = tmp_path / "traffic.json"
    crash = {"name": "tea", "method": "POST", "path": "/a?b=c", "json": {"x": 1}, "accept": [[400, 499]]}
    file.write_text(json.dumps({"healthy": [], "crashing": [crash]}))
    [call] = load_traffic(file).crashing
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        answer = send(server.server_port, call)
        thread.join()
    assert (answer.status, answer.text, call.is_proper(answer)) == (418, "short", True)
    assert seen == [("/a?b=c", b'{"x": 1}', "application/json")]
    assert send(free_ports(1)[0], call).status == 0


@pytest.mark.parametrize("text", ["", "[]", '{"healthy": [{}], "crashing": []}', '{"healthy": []}'])
def test_a_broken_traffic_file_is_named(tmp_path, text):
    """A malformed file is a usage error that names it."""
    file = tmp_path / "traffic.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"traffic\.json is no traffic file"):
        load_traffic(file)


def test_an_incident_is_found_by_its_request(make_project, event_of, tmp_path):
    """The watcher tells the incident of a request from older ones and from those of other requests."""
    project = make_project()
    file = tmp_path / "traffic.json"
    file.write_text('{"healthy": [], "crashing": [{"method": "GET", "path": "/a?b=c", "accept": [[200, 200]]}]}')
    [call] = load_traffic(file).crashing
    watcher = Watcher(lambda _notice: None)
    for identifier, query in (("old", "b=c"), ("other", ""), ("mine", "b=c")):
        event = event_of(project, request=Request(path="/a", query=query))
        incident = Incident(id=identifier, fingerprint="f", service="s", event=event, first_seen=1.0, last_seen=1.0)
        watcher(Notice("started", incident, "analyze"))
        watcher(Notice("finished", incident, "analyze", "found", 0.1))
    assert watcher.incident_of(call, {"old"}).id == "mine"
    assert watcher.incident_of(call, {"old", "mine"}) is None
    assert watcher.known() == {"old", "other", "mine"}
    assert [notice.text for notice in watcher.finished("mine")] == ["found"]
    since, until = watcher.spans("mine")["analyze"]
    assert since <= until


FLASK = pytest.param("flask", marks=pytest.mark.once("the other example is healed on each"))


@pytest.mark.slow
@pytest.mark.parametrize("app", [FLASK, "fastapi"])
def test_a_real_service_is_healed_while_it_runs(app, tmp_path):
    """slow: starts a real server and heals it six times. Every crash is healed live, and no healthy answer changes."""
    server = {"flask": "gunicorn", "fastapi": "uvicorn"}[app]
    for needed in ("homeostasis_rules_python", "homeostasis_sandbox_venv", "homeostasis_deploy_git", app, server):
        pytest.importorskip(needed)
    argv = [sys.executable, "-m", "homeostasis.cli", "demo", "--app", app, "--keep", str(tmp_path / "kept"), "--json"]
    source = str(Path(homeostasis.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": source}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=Path(__file__).parent, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    [outcome] = report["apps"]
    assert report["healed"] is True
    assert outcome["healthy_changed"] == []
    assert outcome["healthy_compared"] >= 8
    for crash in outcome["crashes"]:
        assert crash["status_before"] == 500
        assert crash["status_after"] < 500
        assert crash["commit"]
        assert crash["rule_id"]
        assert abs(sum(crash["stages"].values()) - crash["seconds"]) < crash["seconds"]
    first = outcome["crashes"][0]["incident"]
    directory = outcome["directory"]
    undone = [*argv[:3], "rollback", first, "--project", directory, "--json"]
    done = subprocess.run(undone, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "rolled_back"
