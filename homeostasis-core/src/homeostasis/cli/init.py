"""`homeostasis init`: reads the app, writes `[tool.homeostasis]`, and says what is left to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

import typer

from homeostasis.cli.terminal import NO_COLOR, console, plain
from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.cli.detect import FoundApp

_MODES = ("observe", "propose", "auto")
_NEEDED = {"rules-python": "homeostasis-rules-python", "sandbox-venv": "homeostasis-sandbox-venv"}


def init(
    mode: str = typer.Option(
        "propose", "--mode", metavar="MODE", help="observe, propose (ask before deploying) or auto."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    force: bool = typer.Option(False, "--force", help="Replace the settings that are there."),
    project: Optional[Path] = typer.Option(
        None, "--project", metavar="DIR", help="The app's root; by default this directory."
    ),
    no_color: bool = NO_COLOR,
) -> None:
    """Set up a project.

    Finds sources, app object, tests and repository, and writes [tool.homeostasis] into pyproject.toml.

    Example: homeostasis init --mode auto
    """
    from homeostasis.cli import detect
    from homeostasis.cli.settings_file import add_table
    from homeostasis.project import Project

    if mode not in _MODES:
        raise UsageError(f"there is no mode {mode!r}: modes are {', '.join(_MODES)}")
    root = (project or Path.cwd()).resolve()
    if not root.is_dir():
        raise UsageError(f"{root} is not a directory")
    out = console(no_color)
    sources = detect.source_folders(root)
    app = detect.find_app(root, sources)
    installed = _installed()
    text = _table(root, mode, sources, app, installed, in_git=detect.repository(root) is not None)
    out.print(plain(text), style="cyan", soft_wrap=True)
    if (
        not yes
        and sys.stdin.isatty()
        and not typer.confirm(f"Write this into {root / 'pyproject.toml'}?", default=True)
    ):
        raise typer.Exit(1)
    add_table(root / "pyproject.toml", text, force=force)
    place = Project.load(root)
    place.share_settings()
    out.print(f"wrote [tool.homeostasis] into {root / 'pyproject.toml'}", soft_wrap=True)
    if detect.repository(root) is not None and _ignore(root):
        out.print("added .homeostasis/ to .gitignore")
    _print_next(out, app, installed)


def _installed() -> List[str]:
    from homeostasis.config import DEFAULT_PLUGINS
    from homeostasis.plugins.discovery import discover

    names = {found.name for found in discover()}
    return [name for name in DEFAULT_PLUGINS if name in names]


def _table(
    root: Path, mode: str, sources: List[str], app: Optional[FoundApp], installed: List[str], *, in_git: bool
) -> str:
    from homeostasis.cli.detect import has_tests
    from homeostasis.cli.settings_file import project_name, toml_list, toml_string

    lines = [
        "[tool.homeostasis]",
        f"service = {toml_string(project_name(root))}",
        f"source = {toml_list(sources)}",
    ]
    if app is not None:
        lines.append(f"app = {toml_string(app.target)}")
    lines += [f'mode = "{mode}"', "plugins = ["]
    lines += [f"  {toml_string(name)}," for name in installed]
    lines.append("]")
    if has_tests(root):
        lines += ["", "[tool.homeostasis.validate]", 'test_command = "pytest -q"']
    if mode != "observe":
        chain = [name for name in ("working-tree", "git-branch", "hotswap") if name in installed]
        chain = [name for name in chain if in_git or name != "git-branch"]
        lines += ["", "[tool.homeostasis.deploy]", f"chain = {toml_list(chain)}"]
    return "\n".join(lines) + "\n"


def _ignore(root: Path) -> bool:
    file = root / ".gitignore"
    content = file.read_bytes() if file.is_file() else b""
    if any(line.strip().rstrip(b"/") in (b".homeostasis", b"/.homeostasis") for line in content.splitlines()):
        return False
    with file.open("ab") as stream:
        stream.write((b"" if not content or content.endswith(b"\n") else b"\n") + b".homeostasis/\n")
    return True


def _print_next(out: Console, app: Optional[FoundApp], installed: List[str]) -> None:
    lacking = [package for name, package in _NEEDED.items() if name not in installed]
    if lacking:
        out.print(
            f"\nNothing can be healed without: pip install {' '.join(lacking)}", style="bold yellow", soft_wrap=True
        )
    framework = app.framework if app is not None else "flask"
    where = f" ({app.path})" if app is not None else ""
    package = "homeostasis-flask" if framework == "flask" else "homeostasis-fastapi"
    out.print(f"\nNext, in the app's environment: pip install {package}\nand in the app{where}:\n", soft_wrap=True)
    if framework == "flask":
        out.print("    from homeostasis.monitoring import setup_monitoring\n    setup_monitoring(app, config={})")
        start = f'gunicorn -w 2 "{app.target}"' if app is not None else 'gunicorn "PACKAGE:app"'
    else:
        out.print("    from homeostasis.monitoring import HomeostasisMiddleware")
        out.print("    app.add_middleware(HomeostasisMiddleware, config={})")
        factory = app is not None and app.target.endswith("()")
        start = (
            f"uvicorn {app.target[:-2]} --factory"
            if app is not None and factory
            else f"uvicorn {app.target if app else ''}"
        )
    if app is None:
        out.print('\nNo app object was found: set app = "MODULE:OBJECT" in [tool.homeostasis].', style="yellow")
    out.print(
        f"\nThen check with: homeostasis doctor\nand start with: homeostasis run -- {plain(start)}", soft_wrap=True
    )
