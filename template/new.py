#!/usr/bin/env python3
"""Makes a plugin package: `python3 template/new.py NAME --stage STAGE DEST`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STAGES = sorted(path.name for path in (HERE / "stages").iterdir())


def main(words: list[str] | None = None) -> int:
    """Read the command line and write the package; 2 if it cannot be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="name of the plugin, such as todo-guard")
    parser.add_argument("--stage", choices=STAGES, default="validate", help="what the plugin does")
    parser.add_argument("dest", type=Path, help="a folder that does not exist yet, or is empty")
    options = parser.parse_args(words)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", options.name):
        parser.error(f"{options.name!r}: a plugin's name is lower case, in parts joined by -")
    if options.dest.exists() and (not options.dest.is_dir() or any(options.dest.iterdir())):
        parser.error(f"{options.dest} exists and is not empty")
    write(options.name, options.stage, options.dest)
    print(
        f"Made {options.dest}. Next:\n  cd {options.dest}\n  python3 -m venv .venv\n"
        "  .venv/bin/pip install -e '.[test]'\n  .venv/bin/pytest"
    )
    return 0


def write(name: str, stage: str, dest: Path) -> None:
    """Fill in the skeleton and the stage's files."""
    values = {
        "name": name,
        "package": f"homeostasis_{name.replace('-', '_')}",
        "stage": stage,
        "title": "".join(part.title() for part in name.split("-")),
    }
    for folder in (HERE / "skeleton", HERE / "stages" / stage):
        for source in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            relative = fill(source.relative_to(folder).as_posix(), values)
            target = dest / re.sub(r"\.in$", "", relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(fill(source.read_text("utf-8"), values), "utf-8")


def fill(text: str, values: dict[str, str]) -> str:
    """Put the values for `@key@`."""
    return re.sub(r"@(\w+)@", lambda found: values.get(found.group(1), found.group(0)), text)


if __name__ == "__main__":
    sys.exit(main())
