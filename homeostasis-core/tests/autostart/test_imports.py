"""`when_imported`: acts on the modules that are waited for, and on no others."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zipfile
from pathlib import Path
from typing import Any, Iterator

import pytest

from homeostasis.autostart import imports


@pytest.fixture(autouse=True)
def _own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(imports, "_waiting", {})
    # Other tests of this process may have left it there, waiting.
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if finder is not imports._finder])
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    importlib.invalidate_caches()
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def test_acts_after_the_import(tmp_path: Path) -> None:
    """The action sees the whole module, once, and the loader is what it was."""
    write(tmp_path / "waited_one.py", "value = 1\n")
    seen: list[Any] = []
    imports.when_imported("waited_one", lambda module: seen.append(module.value))
    module = importlib.import_module("waited_one")
    importlib.reload(module)
    assert seen == [1]
    assert "exec_module" not in vars(module.__spec__.loader)
    assert imports._finder not in sys.meta_path


def test_acts_at_once_on_what_is_there() -> None:
    """A module that is imported already is not waited for."""
    seen: list[str] = []
    imports.when_imported("json", lambda module: seen.append(module.__name__))
    assert seen == ["json"]
    assert imports._finder not in sys.meta_path


def test_looking_is_not_importing(tmp_path: Path) -> None:
    """`find_spec` alone does not use the action up."""
    write(tmp_path / "waited_two.py", "")
    seen: list[str] = []
    imports.when_imported("waited_two", lambda module: seen.append(module.__name__))
    assert importlib.util.find_spec("waited_two") is not None
    assert seen == []
    importlib.import_module("waited_two")
    assert seen == ["waited_two"]


def test_failures_reach_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """A broken action leaves the import alone; a broken module raises its own error and is waited for on."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT", raising=False)
    write(tmp_path / "waited_three.py", "")
    imports.when_imported("waited_three", lambda module: 1 / 0)
    assert importlib.import_module("waited_three").__name__ == "waited_three"
    seen: list[str] = []
    write(tmp_path / "waited_four.py", "raise LookupError('mine')")
    imports.when_imported("waited_four", lambda module: seen.append(module.__name__))
    with pytest.raises(LookupError, match="mine"):
        importlib.import_module("waited_four")
    write(tmp_path / "waited_four.py", "fixed = True")
    importlib.invalidate_caches()
    importlib.import_module("waited_four")
    assert seen == ["waited_four"]
    imports.when_imported("waited_nowhere", lambda module: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("waited_nowhere")


def test_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of a zip archive share a loader; only the one that is waited for is acted on."""
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("zipped_one.py", "import zipped_two\n")
        content.writestr("zipped_two.py", "")
    monkeypatch.syspath_prepend(str(archive))
    seen: list[str] = []
    imports.when_imported("zipped_one", lambda module: seen.append(module.__name__))
    importlib.import_module("zipped_one")
    assert seen in (["zipped_one"], [])  # before Python 3.10, archives have no `exec_module`
    assert "zipped_two" in sys.modules


def test_other_finders_that_delegate(tmp_path: Path) -> None:
    """Another hook that asks the whole path, ours included, does not go round in circles."""

    class Delegating:
        busy = False

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            if self.busy:
                return None
            self.busy = True
            try:
                return importlib.util.find_spec(name)
            finally:
                self.busy = False

    write(tmp_path / "waited_five.py", "")
    seen: list[str] = []
    imports.when_imported("waited_five", lambda module: seen.append(module.__name__))
    sys.meta_path.insert(1, Delegating())  # type: ignore[arg-type]
    importlib.import_module("waited_five")
    assert seen == ["waited_five"]
