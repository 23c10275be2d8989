from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from homeostasis.monitoring import sources
from homeostasis.monitoring.sources import lines_of, qualname_of


def code_of(path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    namespace: dict[str, Any] = {}
    exec(compile(text, str(path), "exec"), namespace)
    return namespace["f"].__code__


def test_each_code_has_its_own_text(tmp_path: Path) -> None:
    """After a file was rewritten under a running process, old and new code are each shown with their own lines."""
    path = tmp_path / "m.py"
    old = code_of(path, "def f():\n    return {}['a']\n")
    assert (lines_of(old) or [])[1].strip() == "return {}['a']"
    new = code_of(path, "def f():\n    x = 1\n    return {}.get('a', x)\n")
    assert (lines_of(new) or [])[2].strip() == "return {}.get('a', x)"
    assert (lines_of(old) or [])[1].strip() == "return {}['a']"


def test_no_text_rather_than_a_wrong_one(tmp_path: Path) -> None:
    """Code whose file changed before it was ever looked at has no lines: those of the file are not its own."""
    path = tmp_path / "m.py"
    old = code_of(path, "def f():\n    return {}['a']\n")
    path.write_text("# moved\ndef f():\n    return {}['b']\n", encoding="utf-8")
    assert lines_of(old) is None


def test_files_that_did_not_change_are_trusted(tmp_path: Path, monkeypatch: Any) -> None:
    """A file older than the process is read without compiling it, also if its bytecode was rewritten."""
    path = tmp_path / "m.py"
    code = code_of(path, "def f():\n    return 1\n")
    os.utime(path, (time.time() - 1000, time.time() - 1000))
    monkeypatch.setattr(sources, "_compiled", lambda *_: 1 / 0)
    assert lines_of(code) == ["def f():\n", "    return 1\n"]


def test_rewritten_assertions(tmp_path: Path) -> None:
    """A test module that pytest has rewritten is shown with the lines of its file."""
    path = tmp_path / "m.py"
    code = code_of(path, "def f():\n    assert f\n")
    path.write_text("def f():\n    assert 2, 'x'\n", encoding="utf-8")
    assert lines_of(code) is None
    assert (lines_of(code, {"@pytest_ar": None}) or [])[1] == "    assert 2, 'x'\n"


def test_encodings_and_line_ends(tmp_path: Path) -> None:
    """A file is read in the encoding that it declares."""
    path = tmp_path / "m.py"
    text = "# -*- coding: latin-1 -*-\r\ndef f():\r\n    return 'ä'\r\n"
    code = code_of(path, "pass\ndef f():\n    return 'x'\n")
    path.write_bytes(text.encode("latin-1"))
    os.utime(path, (time.time() - 1000, time.time() - 1000))
    assert (lines_of(code) or [])[2] == "    return 'ä'\n"


def test_files_that_are_gone(tmp_path: Path) -> None:
    """Missing and invalid files give no lines and no error."""
    path = tmp_path / "m.py"
    code = code_of(path, "def f():\n    return 1\n")
    path.unlink()
    assert lines_of(code) is None
    assert qualname_of(code) in ("f", None)
    path.write_bytes(b"\xff\xfe\x00")
    assert lines_of(code) is None
