"""The overlay environment of a trial: empty, on top of the app's own packages.

It is made by hand, which takes about a millisecond: `pyvenv.cfg`, the links `bin/python*`, the app's commands with our
interpreter in their first line, and a `.pth` that adds the app's packages with `site.addsitedir` (so that the `.pth`
files there, editable installs too, are obeyed). What is installed into the overlay wins over the app's packages.

`virtualenv` makes the same and knows more platforms, but its first call in a process takes 240 ms (180 ms of it to
import it; 570 ms when it meets an interpreter for the first time), more than a whole trial; and it does not say where
the app's packages are, so that the interpreter would have to be asked all the same.
"""

from __future__ import annotations

import os
from pathlib import Path

from homeostasis_sandbox_venv.interpreter import Interpreter

MAX_SCRIPT = 20_000
"""Commands that installers write are far smaller, in bytes."""


def make(directory: Path, interpreter: Interpreter, *, empty: bool = False) -> Path:
    """Make the environment in `directory`, which must not exist, and return its interpreter.

    Args:
        directory: the environment's.
        interpreter: the app's.
        empty: leave out the app's packages and commands.
    """
    major, minor, _ = interpreter.version
    scripts = directory / "bin"
    packages = directory / "lib" / f"python{major}.{minor}" / "site-packages"
    scripts.mkdir(parents=True)
    packages.mkdir(parents=True)
    (directory / "pyvenv.cfg").write_text(
        f"home = {interpreter.base_executable.parent}\n"
        "include-system-site-packages = false\n"
        f"version = {'.'.join(map(str, interpreter.version))}\n",
        encoding="utf-8",
    )
    python = scripts / "python"
    python.symlink_to(interpreter.base_executable)
    for name in ("python3", f"python{major}.{minor}"):
        (scripts / name).symlink_to("python")
    if empty:
        return python
    lines = [f"import site; site.addsitedir({str(path)!r})\n" for path in interpreter.packages]
    (packages / "homeostasis_app.pth").write_text("".join(lines), encoding="utf-8")
    _copy_commands(interpreter, scripts, python)
    return python


def _copy_commands(interpreter: Interpreter, scripts: Path, python: Path) -> None:
    with os.scandir(interpreter.scripts) as entries:
        for entry in entries:
            if entry.is_symlink() or not entry.is_file() or entry.stat().st_size > MAX_SCRIPT:
                continue
            code = Path(entry.path).read_bytes()
            first, newline, rest = code.partition(b"\n")
            if first.startswith(b"#!") and first[2:].strip() in _shebangs(interpreter):
                command = scripts / entry.name
                command.write_bytes(b"#!" + os.fsencode(python) + newline + rest)
                command.chmod(0o755)


def _shebangs(interpreter: Interpreter) -> set[bytes]:
    directory = interpreter.scripts
    major, minor, _ = interpreter.version
    return {os.fsencode(directory / name) for name in ("python", "python3", f"python{major}.{minor}")}
