"""`homeostasis rules schema`."""

from __future__ import annotations

import typer

KIND = typer.Argument(..., metavar="rule|template", help="Which kind of file.")


def schema(kind: str = KIND) -> None:
    """Print the JSON Schema of rule or template files, for editors and for checks in other languages.

    Example: homeostasis rules schema rule > rule.schema.json
    """
    from homeostasis.errors import UsageError
    from homeostasis.rules import schema_text

    if kind == "rule":
        typer.echo(schema_text("rule"), nl=False)
    elif kind == "template":
        typer.echo(schema_text("template"), nl=False)
    else:
        raise UsageError(f"there is no schema of {kind!r}: name rule or template")
