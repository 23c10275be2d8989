"""Writes `docs/reference/generated/` from the code before Sphinx reads it, so that the reference cannot lag."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from homeostasis.rules import schema_text
from homeostasis_reference.commands import commands_page
from homeostasis_reference.hooks import hooks_page
from homeostasis_reference.models import event_schema, models_page
from homeostasis_reference.rules import rules_page, templates_page
from homeostasis_reference.settings import settings_page

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "hooks.md": hooks_page,
    "models.md": models_page,
    "event.schema.json": event_schema,
    "rules.md": rules_page,
    "templates.md": templates_page,
    "rule.schema.json": lambda: schema_text("rule"),
    "template.schema.json": lambda: schema_text("template"),
}


def generate(app: Sphinx) -> None:
    """Write all pages; one that did not change keeps its time, so that Sphinx does not read it again."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        text, target = page(), folder / name
        if not target.is_file() or target.read_text("utf-8") != text:
            target.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", generate)
    return {"version": "1", "parallel_read_safe": True}
