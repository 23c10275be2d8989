"""`homeostasis rules list|check|test|explain|schema`."""

from __future__ import annotations

import typer


def rules_app() -> typer.Typer:
    """The sub-app with all commands."""
    from homeostasis_rules_python.cli.check import check
    from homeostasis_rules_python.cli.explain import explain
    from homeostasis_rules_python.cli.listing import listing
    from homeostasis_rules_python.cli.schema import schema
    from homeostasis_rules_python.cli.trying import try_examples

    app = typer.Typer(help="Show, check, test and explain rules and templates.", no_args_is_help=True)
    app.command("list")(listing)
    app.command("check")(check)
    app.command("test")(try_examples)
    app.command("explain")(explain)
    app.command("schema")(schema)
    return app
