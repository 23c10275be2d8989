"""`homeostasis rules`: list, check, test and explain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest

from homeostasis.cli.app import invoke
from homeostasis.testing import crash

Run = Callable[..., Tuple[int, str, str]]


@pytest.fixture
def run(project_factory: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call a command in a project that allows rules-python: exit status, standard output, standard error."""
    project = project_factory({"shop.py": "def f(v):\n    return sum(v) / len(v)\n"}, {"plugins": ["rules-python"]})
    monkeypatch.chdir(project.root)

    def call(*words: str) -> Tuple[int, str, str]:
        status = invoke(["rules", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_list_shows_every_rule(run: Run) -> None:
    """As a table, and as JSON with the file of each."""
    status, out, _err = run("list", "--json")
    rows = json.loads(out)
    assert status == 0
    assert {"key-error-counter", "zero-division-neutral"} <= {row["rule_id"] for row in rows}
    assert all(Path(row["origin"]).is_file() for row in rows)
    assert "key-error-counter" in run("list")[1]


def test_check_names_line_and_column(run: Run) -> None:
    """Each mistake is one line that an editor understands; the status says that there was one."""
    Path("bad.json").write_text('{\n  "rule_id": "x",\n  "descr": 1\n}', encoding="utf-8")
    status, out, err = run("check", "bad.json")
    assert status == 1
    assert err.startswith("bad.json:3:3: descr: is not a known key; did you mean description?")
    assert out == "1 files, 1 mistakes\n"


def test_check_finds_what_does_not_exist(run: Run) -> None:
    """What nobody has is a mistake at the place where it is named, with the nearest that there is."""
    condition = {"all": [{"field": "exception.mesage", "equals": "x"}, {"not": {"field": "node.knd", "exists": True}}]}
    documents = {
        "refactor": {"fix": {"refactor": "add-slf"}},
        "template": {"fix": {"template": "counter_strt"}},
        "path": {"pattern": {"type": "json_path", "value": "$.a["}},
        "field": {"pattern": {"type": "condition", "value": condition}},
        "catastrophe": {"pattern": {"type": "regex", "value": "(a+)+$"}},
    }
    base = {
        "rule_id": "x",
        "description": "d",
        "pattern": {"type": "regex", "value": "^KeyError"},
        "fix": {"refactor": "add-self"},
    }
    Path("mine").mkdir()
    for name, changes in documents.items():
        Path("mine", f"{name}.json").write_text(json.dumps({**base, **changes}, indent=1), encoding="utf-8")
    status, out, _err = run("check", "--json", "mine")
    assert status == 1
    found = {
        (Path(each["file"]).stem, each["line"], each["column"]): each["message"] for each in json.loads(out)["mistakes"]
    }
    assert {(name, line) for name, line, _column in found} == {
        ("refactor", 9),
        ("template", 9),
        ("path", 6),
        ("field", 9),
        ("field", 14),
        ("catastrophe", 4),
    }
    words = " ".join(found.values())
    assert "did you mean add-self?" in words
    assert "did you mean counter_start?" in words
    assert "cannot read the JSON path from '['" in words
    assert "did you mean message?" in words
    assert "did you mean kind?" in words
    assert "repeats something that holds a repeat" in words


def test_check_without_anything_to_check_is_a_usage_error(run: Run) -> None:
    """So is a path that does not exist; the project's own directories are the default."""
    assert run("check")[0] == 2
    assert run("check", "nowhere.json")[0] == 2
    config = Path("pyproject.toml")
    config.write_text(config.read_text("utf-8") + '\n[tool.homeostasis.rules-python]\nrules = ["own"]\n', "utf-8")
    Path("own").mkdir()
    Path("own", "r.json").write_text("{", encoding="utf-8")
    status, out, err = run("check")
    assert (status, out) == (1, "1 files, 1 mistakes\n")
    assert "own/r.json:1:2: is not valid JSON" in err


def test_list_says_who_won_and_what_is_disabled(run: Run) -> None:
    """A rule of the project replaces the plugin's of the same id; a disabled id that nobody has is named."""
    config = Path("pyproject.toml")
    table = '\n[tool.homeostasis.rules-python]\nrules = ["own"]\ndisable = ["add-slf", "key-error-counter"]\n'
    config.write_text(config.read_text("utf-8") + table, "utf-8")
    Path("own").mkdir()
    pattern = {"type": "regex", "value": "^KeyError"}
    rule = {"rule_id": "missing-self", "description": "d", "pattern": pattern, "fix": {"refactor": "add-self"}}
    Path("own", "r.json").write_text(json.dumps(rule), encoding="utf-8")
    status, out, err = run("list", "--json")
    rows = {row["rule_id"]: row for row in json.loads(out)}
    assert status == 0
    assert rows["missing-self"]["origin"].endswith("own/r.json")
    assert [Path(each).name for each in rows["missing-self"]["overrides"]] == ["missing-self.json"]
    assert rows["key-error-counter"]["state"] == "disabled"
    assert rows["zero-division-neutral"]["state"] == "in force"
    assert "there is no rule 'add-slf'" in err
    assert "disabled" in run("explain", "key-error-counter")[1]
    assert "used instead of" in run("explain", "missing-self")[1]


@pytest.mark.parametrize("kind", ["rule", "template"])
def test_schema_prints_what_is_published(run: Run, kind: Any) -> None:
    """The command is how the published file is made."""
    from homeostasis.rules import schema_text

    assert run("schema", kind) == (0, schema_text(kind), "")
    assert run("schema", "recipe")[0] == 2


def test_test_runs_examples(run: Run) -> None:
    """One rule, and one template, by their ids."""
    status, out, _err = run("test", "zero-division-neutral", "counter_start")
    assert status == 0
    assert out.endswith("examples of 2 rules and templates, 0 failed\n")
    assert not out.startswith("0 ")


def test_test_refuses_unknown_ids(run: Run) -> None:
    """A misspelt id is a usage error."""
    status, _out, err = run("test", "no-such-rule")
    assert status == 2
    assert "no-such-rule" in err


def test_explain_a_rule_shows_its_patch(run: Run) -> None:
    """The first example is shown as a diff."""
    status, out, _err = run("explain", "key-error-counter")
    assert status == 0
    assert "+        counts[word] = counts.get(word, 0) + 1" in out
    assert json.loads(run("explain", "key-error-counter", "--json")[1])["rule_id"] == "key-error-counter"


def test_explain_an_event_shows_what_matched_and_what_was_missing(run: Run, project_factory: Any) -> None:
    """Rules that match come first, with what they would do; those that nearly do say what they miss."""
    from homeostasis.project import Project

    event = crash(Project.load(Path.cwd()), "import shop; shop.f([])")
    Path("event.json").write_text(event.model_dump_json(), encoding="utf-8")
    rows = json.loads(run("explain", "event.json", "--json")[1])
    assert rows[0]["rule_id"] == "zero-division-neutral"
    assert rows[0]["result"] == "matches"
    assert "len(v)" in rows[0]["summary"]
    assert "+    return sum(v) / len(v) if " in rows[0]["patches"][0]["diff"]
    near = next(row for row in rows if row["rule_id"] == "zero-division-client")
    assert near["result"] == "nearly"
    assert near["missing"]
    text = run("explain", "event.json")[1]
    assert "ZeroDivisionError" in text
    assert "zero-division-neutral" in text
    assert [row["result"] for row in json.loads(run("explain", "event.json", "--json", "--near", "0")[1])] == [
        "matches"
    ]


def test_explain_says_which_parameter_could_not_be_extracted(run: Run, project_factory: Any) -> None:
    """A rule that matches but lacks what its fix needs makes no patch, and says why."""
    from homeostasis.project import Project

    config = Path("pyproject.toml")
    config.write_text(config.read_text("utf-8") + '\n[tool.homeostasis.rules-python]\nrules = ["own"]\n', "utf-8")
    Path("own").mkdir()
    rule = {
        "rule_id": "mine",
        "description": "d",
        "pattern": {"type": "regex", "value": "^ZeroDivisionError"},
        "fix": {"template": "counter_start", "parameters": {"key": "{{extraction.weather}}"}},
    }
    Path("own", "r.json").write_text(json.dumps(rule), encoding="utf-8")
    event = crash(Project.load(Path.cwd()), "import shop; shop.f([])")
    Path("event.json").write_text(event.model_dump_json(), encoding="utf-8")
    rows = {row["rule_id"]: row for row in json.loads(run("explain", "event.json", "--json")[1])}
    assert rows["mine"]["result"] == "incomplete"
    assert rows["mine"]["missing"] == ["extraction.weather is not known"]


def test_explain_refuses_what_is_no_event(run: Run) -> None:
    """A file that holds something else is a usage error with a reason."""
    Path("event.json").write_text("{}", encoding="utf-8")
    status, _out, err = run("explain", "event.json")
    assert status == 2
    assert "does not hold an event" in err


def test_explain_takes_an_incident(run: Run, project_factory: Any) -> None:
    """The identifier that a refusal names leads to the same table as the event's file."""
    from homeostasis.ledger import Ledger
    from homeostasis.models import Event, Raised
    from homeostasis.project import Project

    project = Project.load(Path.cwd())
    event = Event(id="e", timestamp=1.0, fingerprint="f" * 16, exceptions=(Raised(type="KeyError", message="'k'"),))
    with Ledger.open(project) as ledger:
        incident, _new = ledger.record(event)
    status, _out, err = run("explain", incident.id, "--json")
    assert (status, err) == (0, "")
    status, _out, err = run("explain", "nobody", "--json")
    assert status == 2
    assert "is no rule" in err
