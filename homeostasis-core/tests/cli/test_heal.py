"""`heal`: one shot, from an event, a traceback or a command, with its exit statuses and JSON."""

from __future__ import annotations

import io
import json
import sys

import pytest

TRACEBACK = (
    "Traceback (most recent call last):\n  File \"shop.py\", line 5, in price\n    return PRICES[name]\nKeyError: 'x'\n"
)
KEYS = {
    "id", "fingerprint", "service", "exception_type", "message", "location", "count", "first_seen", "last_seen", "state",
    "rule_id", "patch", "verdict", "release", "timeline",
}  # fmt: skip


def test_a_traceback_is_healed_and_nothing_is_written(run_cli, healer, tmp_path):
    """A validated patch exists: 0, the diff is shown, the file is as before."""
    before = (healer.root / "shop.py").read_bytes()
    file = tmp_path / "trace.txt"
    file.write_text(TRACEBACK)
    done = run_cli("heal", "--traceback", file, "--project", healer.root)
    assert done.status == 0, done.err
    for part in ("KeyError: 'x'", "the key may be missing", "+    return PRICES.get(name)", "agrees", "validated"):
        assert part in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert (healer.root / "shop.py").read_bytes() == before


def test_standard_input_and_json(run_cli, healer, monkeypatch):
    """`--traceback -` reads standard input; with --json standard output is one document with the keys of the contract."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRACEBACK.encode())))
    done = run_cli("heal", "--traceback", "-", "--json", "--project", healer.root)
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert set(report) >= KEYS
    assert (report["state"], report["rule_id"], report["patch"]["effect"]) == ("validated", "key-error", "recover")


def test_apply_deploys(run_cli, healer, tmp_path):
    """With --apply the patch goes through the chain, whatever the mode."""
    file = tmp_path / "trace.txt"
    file.write_text(TRACEBACK)
    done = run_cli("heal", "--traceback", file, "--apply", "--project", healer.root)
    assert done.status == 0, done.err
    assert b"PRICES.get(name)" in (healer.root / "shop.py").read_bytes()
    assert "homeostasis rollback" in done.out


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [("policy.approvals = 2", "leave --apply out"), ('policy.approvers = ["user:nobody-here"]', "may not approve")],
)
def test_apply_is_an_approval(run_cli, healer, tmp_path, setting, complaint):
    """Who may not approve alone may not deploy at once either; nothing is begun."""
    before = (healer.root / "shop.py").read_bytes()
    with (healer.root / "pyproject.toml").open("a") as settings:
        settings.write(f"\n{setting}\n")
    file = tmp_path / "trace.txt"
    file.write_text(TRACEBACK)
    done = run_cli("heal", "--traceback", file, "--apply", "--project", healer.root)
    assert (done.status, complaint in done.err) == (2, True)
    assert (healer.root / "shop.py").read_bytes() == before


def test_an_event_is_healed(run_cli, healer, event_of, tmp_path):
    """`--event FILE` takes the JSON of an event."""
    file = tmp_path / "event.json"
    file.write_text(event_of(healer).model_dump_json())
    assert run_cli("heal", "--event", file, "--project", healer.root).status == 0


def test_a_broken_event_is_a_usage_error(run_cli, healer, tmp_path):
    """An event that is none ends with 2 and names the field."""
    file = tmp_path / "event.json"
    file.write_text('{"id": "x"}')
    done = run_cli("heal", "--event", file, "--project", healer.root)
    assert done.status == 2
    assert "this is no event: timestamp" in done.err


def test_nothing_found_is_1(run_cli, healer, tmp_path):
    """A crash that no rule knows ends with 1."""
    file = tmp_path / "trace.txt"
    file.write_text(TRACEBACK.replace("KeyError", "OddError"))
    assert run_cli("heal", "--traceback", file, "--project", healer.root).status == 1


@pytest.mark.parametrize(("body", "status"), [("shop.price('milk')", 0), ("shop.price('tea')", 1)])
def test_a_command_is_run_under_capture(run_cli, healer, monkeypatch, body, status):
    """`-- COMMAND` heals the crash that the command meets; without a crash there is nothing to heal."""
    monkeypatch.chdir(healer.root)
    done = run_cli(
        "heal", "--json", "--", sys.executable, "-c", f"import sys; sys.path[:0] = ['.']; import shop; {body}"
    )
    assert done.status == status, done.err
    if status == 0:
        assert json.loads(done.out)["exception_type"] == "KeyError"
        assert "KeyError: 'milk'" in done.err
    else:
        assert "no uncaught exception" in done.err
