"""`homeostasis rules list`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, plain, print_json
from homeostasis_rules_python.cli.catalog import Catalog, load_catalog

if TYPE_CHECKING:
    from homeostasis.rules import Rule


def listing(project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR) -> None:
    """Show all rules: id, state, fix, confidence, description; and which of several with one id is used.

    Example: homeostasis rules list
    """
    from rich.table import Table

    catalog = load_catalog(project)
    rows = [_row(rule, catalog) for rule in catalog.at_hand]
    for name in catalog.disabled:
        if name not in catalog.at_hand:
            typer.echo(plain(_nobody(name, catalog)), err=True)
    if as_json:
        print_json(rows)
        return
    table = Table("Rule", "State", "Fix", "Sure", "When")
    for row in rows:
        state = f"{row['state']}, replaces {', '.join(row['overrides'])}" if row["overrides"] else row["state"]
        table.add_row(row["rule_id"], plain(state), row["fix"], f"{row['confidence']:.2f}", row["description"])
    console(no_color).print(table)


def _row(rule: Rule, catalog: Catalog) -> Dict[str, Any]:
    return {
        "rule_id": rule.rule_id,
        "state": "disabled" if rule.rule_id in catalog.disabled else "in force",
        "description": rule.description,
        "target": f"{rule.target} {rule.version_range}".strip(),
        "category": rule.category,
        "severity": rule.severity,
        "confidence": rule.confidence,
        "fix": rule.fix.template or rule.fix.refactor,
        "kind": "template" if rule.fix.template else "refactor",
        "examples": len(rule.examples),
        "origin": catalog.at_hand.origin(rule.rule_id),
        "overrides": list(catalog.at_hand.overridden(rule.rule_id)),
    }


def _nobody(name: str, catalog: Catalog) -> str:
    known: List[str] = [rule.rule_id for rule in catalog.at_hand]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"tool.homeostasis.rules-python.disable: there is no rule {name!r}{hint}"
