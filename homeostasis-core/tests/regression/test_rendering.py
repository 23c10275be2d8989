"""What the file of a generated test holds: literals, plain names, and no secrets."""

from __future__ import annotations

import ast

import pytest

from homeostasis.models import Command, Frame, Request, Span, Value
from homeostasis.monitoring.redaction import Redactor
from homeostasis.regression.literals import NoLiteral, literal
from homeostasis.regression.rendering import Style, Unwritable, render
from homeostasis.regression.subject import Subject, plain
from homeostasis.testing.builders import value_of

PLAIN = Style({}, all_headers=False, exact=True)
HOSTILE = '"""\'); import os; os.system("x") #\n\\'


def subject(**fields):
    known = {
        "incident_id": "i1",
        "error": "KeyError",
        "place": "shop.py, price",
        "rule_id": "r",
        "app": "shop:create_app()",
        "request": None,
        "command": None,
        "frame": None,
        "kind": "plain",
        "status": 404,
        "returned": None,
        "redactor": Redactor(),
    }
    return Subject(**{**known, **fields})


def flask(**fields):
    return Request(**{"framework": "flask", **fields})


def names_of(text):
    """All names that are read or called in a test."""
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize(
    "request_",
    [
        flask(path=f"/{HOSTILE}", query="a=1"),
        flask(method=HOSTILE, route=HOSTILE),
        flask(method="POST", body=HOSTILE.encode(), headers=(("Content-Type", HOSTILE.replace("\n", "")),)),
        flask(method="PUT", body=b'{"a": "\\"\\"\\"); import os"}', headers=(("content-type", "application/json"),)),
        flask(headers=(("X-A", HOSTILE.replace("\n", "")),)),
    ],
)
def test_no_recorded_byte_becomes_code(request_):
    """Whatever a request holds, the test names the app, the client and the response only."""
    text = render(subject(request=request_), PLAIN)
    assert names_of(text) == {"create_app", "client", "response"}
    assert len(ast.parse(text).body) == 3


def test_no_recorded_name_becomes_code():
    """Docstrings and names are made of harmless characters."""
    hostile = {name: plain(HOSTILE) for name in ("incident_id", "error", "place", "rule_id")}
    text = render(subject(request=flask(), **hostile), PLAIN)
    assert names_of(text) == {"create_app", "client", "response"}
    assert len(ast.parse(text).body) == 3


def test_secrets_are_left_out_of_requests():
    """By name and by form, in headers, query and body, also where the app recorded them."""
    token = "ghp_" + "a1B2" * 10
    request = flask(
        method="POST",
        query=f"page=2&access_token={token}",
        headers=(("Cookie", f"id={token}"), ("X-Note", token), ("X-Tenant", "north")),
        body=b'{"password": "hunter22", "name": "Ada"}',
    )
    request = request.model_copy(update={"headers": (*request.headers, ("Content-Type", "application/json"))})
    text = render(subject(request=request), PLAIN._replace(all_headers=True))
    assert token not in text
    assert "hunter22" not in text
    assert "Ada" in text
    assert "north" in text


@pytest.mark.parametrize("argv", [("python", "job.py", "--password=hunter22"), ("python", "/srv/job.py")])
def test_commands_with_secrets_or_foreign_paths_are_not_written(argv):
    """They could be run nowhere else, or would tell a secret."""
    with pytest.raises(Unwritable):
        render(subject(command=Command(argv=argv)), PLAIN)


def frame_of(**values):
    described = {name: value if isinstance(value, Value) else value_of(value) for name, value in values.items()}
    return Frame(
        path="shop.py", module="shop", function="price", span=Span(line=1), arguments=tuple(values), locals=described
    )


@pytest.mark.parametrize(
    ("kind", "returned", "line"),
    [
        ("plain", "{'a': 1}", 'assert price("tea", 2) == {"a": 1}'),
        ("plain", "None", 'assert price("tea", 2) is None'),
        ("coroutine", "3", 'assert asyncio.run(price("tea", 2)) == 3'),
        ("generator", "[1]", 'assert list(price("tea", 2)) == [1]'),
        ("plain", None, 'price("tea", 2)  # raised before the patch'),
    ],
)
def test_a_call_expects_what_the_fixed_function_returns(kind, returned, line):
    """Functions of each kind are called as they are meant to be."""
    text = render(subject(frame=frame_of(name="tea", amount=2), kind=kind, returned=returned), PLAIN)
    assert f"    {line}\n" in text
    assert "from shop import price\n" in text


ROWS = [{"name": "x" * 60, "price": 3}, {"name": "y" * 60, "price": 4}]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("3", 'self.assertEqual(price("tea"), 3)'),
        ("None", 'self.assertIs(price("tea"), None)'),
        (None, 'price("tea")  # raised before the patch'),
        (repr(ROWS), 'self.assertEqual(price("tea"), ['),
    ],
)
def test_a_method_of_a_test_case_says_the_same(returned, expected):
    """Also over several lines."""
    text = render(subject(frame=frame_of(name="tea"), returned=returned), PLAIN._replace(unittest=True))
    assert (
        "import unittest\n\nfrom shop import price\n\n\nclass RegressionTest(unittest.TestCase):\n    def test_" in text
    )
    assert f"\n        {expected}" in text
    if returned == repr(ROWS):
        call = ast.parse(text).body[-1].body[0].body[-1].value
        assert ast.literal_eval(call.args[1]) == ROWS


def test_a_command_in_a_test_case_keeps_its_message():
    """What the command printed is shown if it fails."""
    text = render(subject(command=Command(argv=("python", "job.py")), status=0), PLAIN._replace(unittest=True))
    assert "        self.assertEqual(done.returncode, 0, done.stderr)\n" in text


def test_calls_with_secrets_or_objects_are_not_written():
    """Nothing stands in for an argument."""
    for value in (Value(type="str", repr="'[redacted]'", literal=True, redacted=True), Value(type="Order")):
        with pytest.raises(Unwritable):
            render(subject(frame=frame_of(order=value)), PLAIN)
    with pytest.raises(Unwritable):
        render(subject(frame=frame_of(password="hunter22")), PLAIN)


@pytest.mark.parametrize(
    "value",
    [None, True, 1.5, "it's", 'say "x"', "\n", b"\x00", [], {}, (1,), {1}, {"a": [1, {"b": (2, 3)}]}, "ü\ud800"],
)
def test_literals_read_back(value):
    """On one line or on several, the text means the value."""
    assert ast.literal_eval(literal(value)) == value
    wide = {"k" * 40: [value] * 3, "l" * 60: "x"}
    assert ast.literal_eval(literal(wide)) == wide


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), [object()], type("S", (str,), {})("x")])
def test_what_has_no_literal_is_refused(value):
    """Instead of being written as something else."""
    with pytest.raises(NoLiteral):
        literal(value)
