"""`homeostasis rules test`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import typer

from homeostasis.cli.terminal import JSON, PROJECT, plain, print_json
from homeostasis_rules_python.cli.catalog import load_catalog

IDS = typer.Argument(None, metavar="[ID...]", help="Rules and templates to test; all if none is named.")


def try_examples(ids: Optional[List[str]] = IDS, project: Optional[Path] = PROJECT, as_json: bool = JSON) -> None:
    """Run the examples of rules and templates.

    Example: homeostasis rules test key-error-counter
    """
    from homeostasis.errors import UsageError
    from homeostasis_rules_python.examples import run_rule_examples, run_template_examples

    catalog = load_catalog(project)
    unknown = [item for item in ids or () if item not in catalog.rules and item not in catalog.templates]
    if unknown:
        raise UsageError(f"there is no rule or template {unknown[0]!r}: see homeostasis rules list")
    results: Dict[str, List[Any]] = {}
    for rule in catalog.rules:
        if not ids or rule.rule_id in ids:
            results[rule.rule_id] = run_rule_examples(rule, catalog.templates)
    for template in catalog.templates:
        if not ids or template.template_id in ids:
            results[template.template_id] = run_template_examples(template)
    failed = {name: [item for item in items if not item.passed] for name, items in results.items()}
    count = sum(len(items) for items in results.values())
    failures = [(name, item) for name, items in failed.items() for item in items]
    if as_json:
        shown = [{"id": name, "example": item.number, "detail": item.detail} for name, item in failures]
        print_json({"examples": count, "failures": shown})
    else:
        for name, item in failures:
            typer.echo(plain(f"{name}, example {item.number}: {item.detail}"), err=True)
        typer.echo(f"{count} examples of {len(results)} rules and templates, {len(failures)} failed")
    if failures:
        raise typer.Exit(1)
