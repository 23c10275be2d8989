"""What the orchestrator asks of a trial, what it makes of the answer, and when two events are one crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeostasis.models import Event, Frame, Raised, Request, Runtime, Span
from homeostasis.project import Project
from homeostasis.recognition import same_crash
from homeostasis.replay import NotReplayed, healthy_requests, modules_of, replay_command, replay_requests
from homeostasis.testing.builders import incident_of, patch_of, stranger
from homeostasis.testing.fakes import completed, fake_trial


@pytest.fixture
def project(tmp_path):
    """A project with an app in a folder."""
    (tmp_path / "backend").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.homeostasis]\napp = "main:app"\n')
    return Project.load(tmp_path)


def asked_of(root, answer, **fields):
    """A trial that gives one answer, and the event of a request."""
    event = stranger().model_copy(update={"request": Request(path="/x"), **fields})
    return fake_trial(root, lambda call: completed(call, **answer)), incident_of(event)


def test_the_app_is_imported_where_it_ran(project):
    """From the directory of the crashing process, if that lies in the project."""
    inside = Runtime(cwd=str(project.root / "backend"))
    for runtime, cwd in ((inside, "backend"), (Runtime(cwd="/elsewhere"), "."), (Runtime(), ".")):
        trial, incident = asked_of(project.root, {"stdout": '{"requests": [{"status": 500}]}'}, runtime=runtime)
        replay_requests(trial, incident, project)
        assert trial.runner.calls[0].cwd == cwd


def test_the_question_does_not_depend_on_the_candidate(project):
    """So that one replay of the base serves all candidates."""
    trial, incident = asked_of(project.root, {"stdout": '{"requests": [{"status": 500}]}'})
    replay_requests(trial, incident, project)
    replay_requests(trial, incident, project)
    replay_requests(trial, incident, project, attempt=1)
    first, second, third = (call.stdin for call in trial.runner.calls)
    assert (first == second, first == third) == (True, False)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"timed_out": True}, "not done within 30 s"),
        ({"returncode": 1, "stderr": "Traceback\nModuleNotFoundError: no json"}, "ModuleNotFoundError: no json"),
        ({"stdout": "[1, 2]"}, "without an answer"),
        ({"stdout": '{"requests": []}'}, "ended before all requests"),
        ({"stdout": '{"requests": [{"status": "many"}]}'}, "cannot be understood"),
        ({"stdout": '{"requests": [{"body": 5}]}'}, "cannot be understood"),
        ({"stdout": '{"requests": ["text"]}'}, "cannot be understood"),
    ],
)
def test_an_answer_that_is_none_is_told(project, answer, said):
    """What runs in a trial may answer anything."""
    trial, incident = asked_of(project.root, answer)
    with pytest.raises(NotReplayed, match=said):
        replay_requests(trial, incident, project)


def test_requests_with_side_effects_stay_behind_walls(project):
    """Without a network of its own a trial gets safe methods only, and never a request that is not whole."""
    requests = [Request(method=method) for method in ("GET", "POST", "DELETE")] + [Request(body_truncated=True)]
    incident = incident_of(stranger(), *requests)
    open_trial = fake_trial(project.root)
    walled = open_trial.model_copy(update={"isolation": "bubblewrap"})
    assert [request.method for request in healthy_requests(open_trial, incident)] == ["GET"]
    assert [request.method for request in healthy_requests(walled, incident)] == ["GET", "POST", "DELETE"]


def test_a_command_is_moved_into_the_trial(project, tmp_path):
    """Its interpreter is the trial's, its paths lead into the copy."""
    trial = fake_trial(Path("/trial"), lambda call: completed(call, stdout='{"returncode": 0}'))
    argv = ("/usr/bin/python3.11", f"{project.root}/job.py", "--out=x")
    replay_command(trial, argv, "backend", project)
    question = json.loads(trial.runner.calls[0].stdin)
    assert (question["argv"], question["cwd"]) == (["python", "/trial/job.py", "--out=x"], "/trial/backend")


def test_modules_are_named_as_the_app_knows_them(project):
    """By the event's frames, else by the path; a script has no name, for it would run."""
    frames = tuple(
        Frame(path=str(project.root / path), module=module, function="f", span=Span(line=1))
        for path, module in (("backend/main.py", "main"), ("job.py", "__main__"))
    )
    incident = incident_of(stranger().model_copy(update={"exceptions": (Raised(type="E", frames=frames),)}))
    paths = ("backend/main.py", "job.py", "src/shop/__init__.py", "shop/cart.py", "my-script.py", "data.json")
    patch = patch_of(dict.fromkeys(paths, (None, b"")))
    assert [name for _, name in modules_of(patch, incident, project)] == ["main", None, "shop", "shop.cart", None]


def event(fingerprint="a", type="KeyError", path="/srv/shop.py", function="price", line=3, text=None):  # noqa: A002
    frame = Frame(path=path, function=function, span=Span(line=line), source_line=text)
    return Event(id="e", timestamp=0, fingerprint=fingerprint, exceptions=(Raised(type=type, frames=(frame,)),))


def test_one_crash_is_recognised_by_its_fingerprint_or_its_place():
    """Lines may shift where the text is known; type, file and function must agree."""
    assert same_crash(event("x", "A"), event("x", "B"))
    assert same_crash(event("x", path="/other/shop.py"), event("y"))
    assert same_crash(event("x", text="return p[k]", line=9), event("y", text="return p[k]"))
    assert not same_crash(event("x", text="return p[k]"), event("y", text="return q[k]"))
    assert not same_crash(event("x", line=4), event("y"))
    assert not same_crash(event("x", type="IndexError"), event("y"))
    assert not same_crash(event("x", function="total"), event("y"))
