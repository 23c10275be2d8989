"""Heal the crash of one prepared project, in a process of its own, and say what happened.

    python -m repairbench.healing PROJECT < question

The question is `{"python", "trigger", "traffic", "probing", "timeout"}`. Without traffic (None) the crash is that of
`trigger.py`; with it, traffic and trigger are sent to the app, which monitors itself as under `homeostasis run`, and
the healer reads its spool. The mode is `auto` with the default policy; a patch that waits for a person is applied
afterwards, so that it can be judged. Writes JSON as the last line of standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from homeostasis import injection
from homeostasis.command_capture import run_captured
from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.ledger.tables import attempts, incidents
from homeostasis.models import Incident, State
from homeostasis.pipeline import heal
from homeostasis.plugins import load_plugins
from homeostasis.project import Project
from homeostasis.report import incident_report
from homeostasis.spool import SpoolReader
from homeostasis.stages.collect import LedgerSink, collect

DEPLOYED = (State.DEPLOYING, State.OBSERVING, State.HEALED)


def main() -> None:
    """Answer the question on standard input."""
    root = Path(sys.argv[1]).resolve()
    question = json.load(sys.stdin)
    project = Project.load(root)
    project = replace(project, config=project.config.model_copy(update={"python": question["python"]}))
    os.chdir(root)
    plugins = load_plugins(project)
    with Ledger.open(project) as ledger:
        engine = Engine(project, plugins, ledger, lambda _: None)
        found = _by_command(engine, question) if question["traffic"] is None else _by_requests(engine, question)
        answer = _heal(engine, found)
    print("\n" + json.dumps(answer))


def _by_command(engine: Engine, question: dict[str, Any]) -> list[Incident]:
    project = engine.context.project
    _, events = run_captured(
        ["python", "trigger.py"], project, question["python"], output=sys.stderr, timeout=question["timeout"]
    )
    return [collect(engine.context, event)[0] for event in events[:1]]


def _by_requests(engine: Engine, question: dict[str, Any]) -> list[Incident]:
    project, found = engine.context.project, []
    directory = injection.inject(project.state / injection.DIRECTORY, adapters=True)
    env = {**injection.monitoring(directory, os.environ), "HOMEOSTASIS_PROJECT": str(project.root)}
    # What changes the app's state comes after the crash: it must not stand in its way.
    reading = [one for one in question["traffic"] if one.startswith("GET ")]
    writing = [one for one in question["traffic"] if one not in reading]
    order = [*reading, question["trigger"], *writing]
    probes = {**question["probing"], "probes": order, "capture": True}
    script = str(Path(__file__).with_name("probing.py"))
    subprocess.run(
        [question["python"], script],
        input=json.dumps(probes),
        text=True,
        cwd=project.root,
        env=env,
        stdout=sys.stderr,
        timeout=question["timeout"],
        check=False,
    )
    sink = LedgerSink(engine.context, found.append, lambda *_: None)
    SpoolReader(project.spool, longest_line=4 * project.config.monitoring.max_event_bytes).read_all(sink)
    return found


def _heal(engine: Engine, found: list[Incident]) -> dict[str, Any]:
    if not found:
        return {"event": False}
    context, incident = engine.context, found[0]
    started = time.perf_counter()
    incident = heal(context, incident, apply=None)
    seconds = time.perf_counter() - started
    ledger = context.ledger
    patch = ledger.patch(incident.id)
    if patch is not None and incident.state in (State.AWAITING_APPROVAL, State.VALIDATED):
        patch.apply(context.project.root)
    with ledger.connect() as connection:
        row = connection.execute(sa.select(incidents.c.diagnoses).where(incidents.c.id == incident.id)).one()
        tries = connection.execute(sa.select(attempts).where(attempts.c.incident_id == incident.id)).all()
    report = incident_report(ledger, incident)
    validated = incident.state in (*DEPLOYED, State.AWAITING_APPROVAL, State.VALIDATED)
    return {
        "event": True,
        "exception": report["exception_type"],
        "state": incident.state.value,
        "reason": report["reason"],
        "rule": report["rule_id"],
        "diagnosed": len(json.loads(row.diagnoses or "[]")),
        "patched": validated and patch is not None,
        "effect": patch.effect.value if patch is not None and validated else None,
        "deployed": incident.state in DEPLOYED,
        "candidates": len(tries),
        "tried": sum(1 for one in tries if one.verdict),
        "diff": patch.diff if patch is not None and validated else None,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
