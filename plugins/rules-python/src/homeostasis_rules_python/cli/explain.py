"""`homeostasis rules explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, plain, print_json
from homeostasis_rules_python.cli.catalog import Catalog, load_catalog

if TYPE_CHECKING:
    from homeostasis.models import Event
    from homeostasis.rules import Rule
    from homeostasis_rules_python.explaining import Explanation

SUBJECT = typer.Argument(..., metavar="ID|EVENT.json", help="A rule, an incident, or a file with an event.")
NEAREST = typer.Option(8, "--near", metavar="N", min=0, help="How many rules that nearly match are shown.")
WORDS = {"matches": "matches", "incomplete": "matches, but lacks a parameter", "nearly": "nearly"}


def explain(
    subject: str = SUBJECT,
    project: Optional[Path] = PROJECT,
    near: int = NEAREST,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Say what a rule asks for, or which rules match a crash, which nearly do, and what they miss.

    Example: homeostasis rules explain 3f2a
    """
    catalog = load_catalog(project)
    rule = catalog.at_hand.get(subject)
    if rule is not None:
        _explain_rule(rule, catalog, as_json)
    elif Path(subject).is_file():
        _explain_event(_read_event(Path(subject)), catalog, near, as_json, no_color)
    else:
        _explain_event(_event_of_incident(subject, catalog), catalog, near, as_json, no_color)


def _explain_rule(rule: Rule, catalog: Catalog, as_json: bool) -> None:
    from homeostasis_rules_python.examples import heal_example

    if as_json:
        print_json(rule.model_dump(mode="json", by_alias=True, exclude_defaults=True))
        return
    typer.echo(f"{rule.rule_id}: {rule.description}")
    typer.echo(f"from {catalog.at_hand.origin(rule.rule_id)}")
    if rule.rule_id in catalog.disabled:
        typer.echo("disabled by the project's settings")
    for loser in catalog.at_hand.overridden(rule.rule_id):
        typer.echo(f"used instead of {loser}")
    pattern = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)["pattern"]
    typer.echo(f"matches when {json.dumps(pattern['value'], indent=2)}")
    typer.echo(f"fix: {rule.fix.template or rule.fix.refactor}")
    first = next((item for item in rule.examples if item.expected_match), None)
    healed = heal_example(rule, first.input, catalog.templates) if first is not None else None
    if healed is not None and healed.diagnosis is not None:
        typer.echo(f"example: {plain(healed.diagnosis.summary)}")
        typer.echo(plain(healed.patches[0].diff) if healed.patches else "")


def _event_of_incident(prefix: str, catalog: Catalog) -> Event:
    from homeostasis.errors import UsageError
    from homeostasis.ledger import Ledger

    try:
        with Ledger.open(catalog.project) as ledger:
            return ledger.find(prefix).event
    except UsageError as error:
        raise UsageError(f"{prefix!r} is no rule (see homeostasis rules list) and no file, and {error}") from error


def _read_event(file: Path) -> Event:
    from pydantic import ValidationError

    from homeostasis.errors import UsageError
    from homeostasis.models import Event

    try:
        return Event.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{file} does not hold an event: {str(error)[:300]}") from error


def _explain_event(event: Event, catalog: Catalog, near: int, as_json: bool, no_color: bool) -> None:
    from homeostasis.source import SourceTree
    from homeostasis_rules_python.explaining import explanations

    source = SourceTree(catalog.project)
    found = explanations(source.relocated(event), source, catalog.rules, catalog.templates)
    matching = [each for each in found if each.result != "nearly"]
    shown = [*matching, *[each for each in found if each.result == "nearly"][:near]]
    if as_json:
        print_json([each.as_json() for each in shown])
        return
    typer.echo(plain(f"{event.raised.dotted}: {event.raised.message[:200]}"))
    _table(shown, no_color)
    if not matching:
        typer.echo("No rule matches. What the nearest ones miss stands above; docs/contributing-rules.md says how to")
        typer.echo("write one.")


def _table(found: List[Explanation], no_color: bool) -> None:
    from rich.table import Table

    table = Table("Rule", "Result", "Why", show_lines=True)
    for each in found:
        table.add_row(each.rule_id, WORDS[each.result], plain("\n".join(_why(each.as_json()))))
    console(no_color).print(table)


def _why(row: Dict[str, Any]) -> List[str]:
    if row["result"] == "nearly":
        return [f"missing: {text}" for text in row["missing"]] + [f"holds: {len(row['held'])} of {row['parts']}"]
    lines = [row["summary"]] if row["summary"] else []
    lines += [f"missing: {text}" for text in row["missing"]]
    lines += [f"{patch['effect']}: {patch['summary']}" for patch in row["patches"]]
    return lines if row["patches"] else [*lines, "no patch could be made"]
