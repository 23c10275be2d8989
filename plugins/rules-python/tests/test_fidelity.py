"""Untouched code survives byte for byte, whatever its encoding, indentation and line endings."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import libcst as cst
import pytest

from homeostasis.models import Event, Frame, Raised, Span
from homeostasis.project import Project
from homeostasis_rules_python.code.edit import Edits, can_insert_before, statements
from homeostasis_rules_python.code.tree import Tree

SOURCES = {
    "crlf": b"def f(v):\r\n    # mean\r\n    return sum(v) / len(v)\r\n",
    "tabs": b"def f(v):\n\tif v is None:\n\t\treturn  0 ;x=1\n\treturn sum(v) / len(v)   # mean\n",
    "bom": b"\xef\xbb\xbf# caf\xc3\xa9\ndef f(v):\n    return sum(v) / len(v)\n",
    "latin-1": b"# -*- coding: latin-1 -*-\n# caf\xe9\ndef f(v):\n    return sum(v) / len(v)\n",
    "no-newline-at-end": b"def f(v):\n    return sum(v) / len(v)",
    "two-spaces-and-odd-layout": b"x = { 'a':1 ,\n   'b' : 2 }\n\n\ndef f( v ):\n  y = 'q' \"r\" ; z=(1,\n     2)\n  return sum(v) / len(v)\n\n\n\n# end",
    "form-feed": b"import os\n\x0c\ndef f(v):\n    return sum(v) / len(v)\n",
}


def event_in(project: Project, content: bytes) -> Event:
    """A division by zero on the line that divides, known by line only."""
    line = next(number for number, text in enumerate(content.split(b"\n"), 1) if b"sum(v) / len(v)" in text)
    frame = Frame(path=str(project.root / "m.py"), function="f", span=Span(line=line), in_app=True)
    raised = Raised(type="ZeroDivisionError", message="division by zero", frames=(frame,))
    return Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,))


@pytest.mark.parametrize("name", list(SOURCES))
def test_only_the_failing_expression_changes(heal_event: Any, project_factory: Any, name: str) -> None:
    """Taking the new expression out again gives the old bytes."""
    content = SOURCES[name]
    project = project_factory({})
    (project.root / "m.py").write_bytes(content)
    patch = heal_event(project, event_in(project, content)).best
    (edit,) = patch.edits
    assert edit.before == content
    assert edit.after == content.replace(b"sum(v) / len(v)", b"sum(v) / len(v) if len(v) else 0")


GUARDED = b"import os\r\n\r\nfrom flask import Flask, request\r\n\r\napp = Flask(__name__)\r\n\r\n\r\n@app.post('/')\r\ndef f():\r\n\tdata = request.json\r\n\r\n\t# the price\r\n\treturn data['price']  # cents\r\n"


def test_a_guard_takes_the_files_own_indentation_and_line_ends(heal_event: Any, project_factory: Any) -> None:
    """New lines look like the old ones, and the comment stays above its statement."""
    project = project_factory({})
    (project.root / "m.py").write_bytes(GUARDED)
    frame = Frame(path=str(project.root / "m.py"), function="f", span=Span(line=13), in_app=True)
    raised = Raised(type="KeyError", message="'price'", frames=(frame,))
    event = Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,))
    (edit,) = heal_event(project, event).best.edits
    guard = b"\tif 'price' not in data:\r\n\t\tabort(400, description='price is required')\r\n"
    expected = GUARDED.replace(b"\t# the price", guard + b"\t# the price")
    assert edit.after == expected.replace(b"import Flask, request", b"import Flask, request, abort")


def test_nothing_is_written(heal: Any) -> None:
    """Diagnosing and patching leave every file as it was."""
    done = heal({"shop.py": "def f(v):\n    return sum(v) / len(v)\n"}, "import shop; shop.f([])")
    assert done.best.edits
    files = [file for file in Path(done.project.root).rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert {file.name for file in files} == {"shop.py", "pyproject.toml"}
    assert (done.project.root / "shop.py").read_bytes() == done.best.edits[0].before


def installed_files(count: int) -> list[Path]:
    """Files of installed packages and of the standard library, spread over all of them, in a fixed order."""
    import sysconfig

    found: list[Path] = []
    for name in ("purelib", "stdlib"):
        root = Path(sysconfig.get_paths()[name])
        found += [
            path for path in root.rglob("*.py") if "homeostasis" not in str(path) and 300 < path.stat().st_size < 3_000
        ]
    found.sort(key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    return found[:count]


def changed(source: bytes) -> tuple[bytes, bytes] | None:
    """A file with one statement inserted and one call replaced, and the same made of its text; None without a call."""
    try:
        tree = Tree("m.py", cst.parse_module(source))
    except (cst.ParserSyntaxError, UnicodeDecodeError, LookupError):
        return None
    calls = (node for node in tree.all(cst.Call) if not node.lpar)
    call = next((node for node in calls if isinstance(tree.statement(node), cst.SimpleStatementLine)), None)
    statement = tree.statement(call) if call is not None else None
    if call is None or statement is None or not can_insert_before(tree, statement):
        return None
    edits = Edits(tree)
    edits.insert_before(statement, statements(f"{MARK}()\n"))
    edits.replace(call, cst.Name(MARK))
    place = tree.range(call)
    # A form feed ends no line for Python, though it does for str.splitlines.
    lines = re.split(r"(?<=\n)", source.decode(tree.module.encoding))
    start = sum(map(len, lines[: place.start.line - 1])) + place.start.column
    end = sum(map(len, lines[: place.end.line - 1])) + place.end.column
    text = "".join(lines)
    expected = (text[:start] + MARK + text[end:]).encode(tree.module.encoding)
    return edits.module().bytes, expected


MARK = "homeostasis_marker"


@pytest.mark.once("files are rewritten by libcst, whichever Python runs it")
@pytest.mark.parametrize("part", range(4))
def test_real_files_survive_byte_for_byte(part: int) -> None:
    """Of 600 files of installed packages, at least 300 take an edit; all else stays as it was in each of them."""
    done = 0
    for path in installed_files(600)[part::4]:
        found = changed(path.read_bytes())
        if found is None:
            continue
        after, expected = found
        without = b"".join(line for line in after.splitlines(keepends=True) if line.strip() != f"{MARK}()".encode())
        assert without == expected, path
        done += 1
    assert done >= 75
