"""`homeostasis rules check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Set

import typer

from homeostasis.cli.terminal import JSON, PROJECT, plain, print_json

PATHS = typer.Argument(
    None, metavar="[PATH...]", help="Rule or template files, or directories of them; by default the project's own."
)


def check(paths: Optional[List[Path]] = PATHS, project: Optional[Path] = PROJECT, as_json: bool = JSON) -> None:
    """Check files of rules and templates, and name each mistake with file, line and column.

    Exits with 1 if there is a mistake, and with 2 if there is nothing to check.

    Example: homeostasis rules check rules/
    """
    from homeostasis.errors import UsageError
    from homeostasis_rules_python.checking import mistakes

    workshop = _Workshop(project)
    given = list(paths or workshop.directories)
    if not given:
        raise UsageError("name a file or directory: the project has no rules of its own in its settings")
    missing = [path for path in given if not path.exists()]
    if missing:
        raise UsageError(f"there is no {missing[0]}")
    files = list(_files(given))
    known = workshop.template_ids | _described([*files, *_files(workshop.directories)])
    found = [mistake for file in files for mistake in mistakes(file, known)]
    if as_json:
        print_json({"files": len(files), "mistakes": [asdict(mistake) for mistake in found]})
    else:
        for mistake in found:
            typer.echo(plain(str(mistake)), err=True)
        typer.echo(f"{len(files)} files, {len(found)} mistakes")
    if found:
        raise typer.Exit(1)


class _Workshop:
    """What the project and its allowed plugins have."""

    def __init__(self, directory: Optional[Path]) -> None:
        from homeostasis.cli.terminal import load_project
        from homeostasis.plugins import load_plugins
        from homeostasis_rules_python.settings import RulesPythonSettings

        project = load_project(directory)
        plugins = load_plugins(project)
        given = plugins.settings("rules-python")
        settings = given if isinstance(given, RulesPythonSettings) else RulesPythonSettings()
        self.directories = [project.root / name for name in (*settings.rules, *settings.templates)]
        self.template_ids = {template.template_id for template in plugins.templates}


def _files(paths: List[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.json"))
        else:
            yield path


def _described(files: Iterable[Path]) -> Set[str]:
    """Ids of the templates among the files, by their names."""
    return {file.stem for file in files if file.with_name(f"{file.stem}.py.template").is_file()}
