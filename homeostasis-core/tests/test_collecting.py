"""What collectors of foreign events share: revisions, values told as text, secrets, and records sent twice."""

from __future__ import annotations

import subprocess

import pytest

from homeostasis.collecting.crash import Crash
from homeostasis.collecting.events import FOREIGN, REPEATED, EventMaker
from homeostasis.collecting.settings import CollectorTable
from homeostasis.collecting.values import from_json, from_repr
from homeostasis.models import Request
from homeostasis.monitoring.redaction import REDACTED, Redactor
from homeostasis.testing.fakes import MemorySink
from homeostasis.traceback_text import TextException, TextFrame

OLD = "def price(row):\n    return row['price']\n"


def crash(path="shop.py", line=2, function="price", message="'price'", **values):
    frame = TextFrame(path, line, function)
    return Crash([TextException("KeyError", message, frames=[frame])], **values)


@pytest.fixture
def place(project_factory):
    return project_factory({"shop.py": OLD}, {})


def git(root, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True).stdout.decode().strip()


@pytest.fixture
def moved_on(place):
    """The project, with a later version of its file, and the commit before; tagged v1.0."""
    git(place.root, "init", "-q")
    git(place.root, "add", "shop.py")
    git(place.root, "commit", "-qm", "first")
    git(place.root, "tag", "v1.0")
    (place.root / "shop.py").write_text("TAX = 1\n\n\n" + OLD)
    return place, git(place.root, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["commit", "short", "v1.0", "1.0", "shop@1.0", "build-{commit}"])
def test_a_line_is_looked_up_in_the_revision_that_crashed(moved_on, name):
    place, commit = moved_on
    name = {"commit": commit, "short": commit[:10]}.get(name, name.format(commit=commit))
    event = EventMaker(place, CollectorTable()).event(crash(revision=name))
    assert event.crash_frame.source_line == "return row['price']"
    assert event.crash_frame.qualname == "price"
    assert not [loss for loss in event.losses if "not what it was" in loss]


@pytest.mark.parametrize("name", ["--help", "HEAD", "v1.0..HEAD", "nothing", "@{-1}", "a" * 10_000, "../v1.0", ""])
def test_what_names_no_commit_is_looked_up_in_the_files_of_today(moved_on, name):
    event = EventMaker(moved_on[0], CollectorTable()).event(crash(revision=name))
    assert event.crash_frame.source_line == ""


def test_a_project_without_git_has_no_revisions(place):
    assert EventMaker(place, CollectorTable()).event(crash(revision="1.0")).crash_frame.qualname == "price"


def test_no_secret_stays(place):
    secret = "AKIA" + "ABCDEFGHIJKLMNOP"
    request = Request(
        query=f"token={secret}",
        headers=(("Authorization", f"Bearer {secret}"),),
        body=f'{{"password": "{secret}"}}'.encode(),
    )
    found = crash(message=f"password={secret}", request=request)
    found.chain[0].frames[0].locals = {"token": from_repr("token", repr(secret), Redactor())}
    found.chain[0].rest = [f"api_key: {secret}"]
    event = EventMaker(place, CollectorTable()).event(found)
    assert secret not in event.model_dump_json()
    assert event.crash_frame.locals["token"].redacted


def test_a_record_that_is_sent_again_is_no_second_occurrence(place):
    sink, maker = MemorySink(), EventMaker(place, CollectorTable())
    maker.put([crash(id="a"), crash(id="b"), crash(id="a")], sink)
    assert (len(sink.events), sum(count for _, count, _ in sink.recurrences), sink.losses) == (1, 1, [(REPEATED, 1)])


def test_a_crash_of_other_code_is_counted(place):
    sink = MemorySink()
    EventMaker(place, CollectorTable()).put([crash("/usr/lib/other.py"), crash("/usr/lib/other.py")], sink)
    assert (sink.events, sink.losses) == ([], [(FOREIGN, 2)])


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("None", {"type": "NoneType"}),
        ("'12'", {"type": "str", "length": 2, "literal": True}),
        ("{'a': 1}", {"type": "dict", "length": 1, "keys": ["'a'"]}),
        ("(1, 2)", {"type": "tuple", "length": 2}),
        ("<shop.cart.Cart object at 0x7f00>", {"type": "Cart", "module": "shop.cart"}),
        ("Order(id=3)", {"type": "Order"}),
        ("[1, 2, ...", {"type": "object"}),
        ("__import__('os').system('x')", {"type": "object"}),
        ("(" * 4000, {"type": "object"}),
        ("-" * 4000 + "1", {"type": "object"}),
        ("'" + "x" * 9000, {"type": "object"}),
    ],
)
def test_a_repr_is_read_back_as_far_as_it_is_safe(text, fields):
    found = from_repr("value", text, Redactor())
    assert {name: found.get(name) for name in fields} == fields


def test_a_value_of_json_is_described_but_not_taken_for_the_original():
    found = from_json("rows", [1, {"a": None}], Redactor())
    assert (found["type"], found["length"], found["literal"]) == ("list", 2, False)


def test_a_secret_name_hides_the_value():
    assert from_repr("password", "Secret('x')", Redactor())["repr"] == REDACTED
    assert from_json("password", "hunter2", Redactor())["repr"] == REDACTED
