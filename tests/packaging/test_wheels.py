"""What is published: each package alone, and all of them together."""

from __future__ import annotations

import email
import re
import sys
import zipfile
from pathlib import Path

import pytest

import homeostasis

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(
    path.parent.name for path in [*ROOT.glob("plugins/*/pyproject.toml"), ROOT / "homeostasis-core/pyproject.toml"]
)
IN_APP = ("homeostasis-core", "homeostasis-flask", "homeostasis-fastapi")
IGNORED = {"__pycache__", ".ruff_cache", ".mypy_cache"}
FRAMEWORKS = {"flask", "blinker", "starlette", "fastapi"}


def import_name(folder: str) -> str:
    return {"homeostasis-core": "homeostasis"}.get(
        folder, f"homeostasis_{folder.replace('homeostasis-', '').replace('-', '_')}"
    )


def metadata(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def files(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.parametrize("folder", NAMES)
def test_a_wheel_is_complete(folder, wheels):
    """Types, README, license, the lockstep version, and the folder's name as the distribution's."""
    wheel, found = wheels[folder], metadata(wheels[folder])
    assert found["Name"] == (folder if folder.startswith("homeostasis-") else f"homeostasis-{folder}")
    assert found["Version"] == homeostasis.__version__
    assert found["Requires-Python"] == ">=3.8"
    assert "Apache-2.0" in (found["License"] or found["License-Expression"])
    assert len(found.get_payload()) > 200, "the README is the description"
    assert f"{import_name(folder)}/py.typed" in files(wheel)


@pytest.mark.parametrize("folder", NAMES)
def test_a_wheel_installs_below_its_own_name_only(folder, wheels):
    """`homeostasis/` belongs to core, and every other package to itself; no tests are shipped."""
    tops = {name.split("/")[0] for name in files(wheels[folder])}
    assert {top for top in tops if not top.endswith(".dist-info")} == {import_name(folder)}


@pytest.mark.parametrize("folder", NAMES)
def test_data_files_are_shipped(folder, wheels):
    """Rules, templates and all other files of the source lie in the wheel as well."""
    source = next(ROOT / each / "src" for each in (folder, f"plugins/{folder}") if (ROOT / each / "src").is_dir())
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and not IGNORED & set(path.parts)
    }
    assert wanted <= set(files(wheels[folder]))


@pytest.mark.parametrize("folder", NAMES)
def test_packages_require_each_other_in_lockstep(folder, wheels):
    """A package asks for exactly its own version of ours; in the app, for nothing else but the framework."""
    required = metadata(wheels[folder]).get_all("Requires-Dist") or []
    base = [each for each in required if "extra ==" not in each]
    ours = [each for each in base if each.startswith("homeostasis")]
    assert all(each.split(";")[0].strip().endswith(f"=={homeostasis.__version__}") for each in ours)
    if folder in IN_APP:
        others = {re.split(r"[^\w-]", each)[0].lower() for each in base if each not in ours}
        assert others <= FRAMEWORKS
    else:
        assert any("homeostasis-core[orchestrator]" in each for each in ours)


def test_core_has_no_base_dependency(wheels):
    """What runs in the app needs the standard library only."""
    assert [
        each for each in metadata(wheels["homeostasis-core"]).get_all("Requires-Dist") if "extra ==" not in each
    ] == []


@pytest.mark.slow  # installs from wheels into an environment of its own
@pytest.mark.parametrize("folder", NAMES)
def test_a_package_installs_by_itself(folder, wheels, make_environment):
    """One wheel and what it requires is a working installation, and its plugins load."""
    environment = make_environment(wheels[folder])
    environment.run("python", "-W", "error", "-c", f"import {import_name(folder)}")
    check = (
        "from homeostasis.plugins import discover\n"
        "from homeostasis.plugins.refusal import refusal\n"
        "print([(each.name, refusal(each.load())) for each in discover() if refusal(each.load())])\n"
    )
    if folder not in IN_APP:
        assert environment.run("python", "-c", check).stdout.strip() == "[]"


@pytest.mark.slow  # installs from wheels into an environment of its own
def test_the_command_names_what_is_missing(wheels, make_environment):
    """With core alone the command line says which pip command makes it whole, and ends with 2."""
    environment = make_environment(wheels["homeostasis-core"])
    done = environment.run("homeostasis", "incidents", check=False)
    assert done.returncode == 2
    assert "pip install" in done.stderr
    assert "homeostasis-core[orchestrator]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="on Python 3.11 only: the repository's own file")
def test_the_workspace_lists_every_package():
    """No package is forgotten in the dependency groups, in mypy's or in coverage's list."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    distributions = {name if name.startswith("homeostasis-") else f"homeostasis-{name}" for name in NAMES}
    listed = {each.split("[")[0] for each in settings["dependency-groups"]["healer"]}
    assert listed == distributions == set(settings["tool"]["uv"]["sources"])
    modules = {import_name(name) for name in NAMES}
    assert set(settings["tool"]["coverage"]["run"]["source_pkgs"]) == modules
    assert set(settings["tool"]["ruff"]["lint"]["isort"]["known-first-party"]) == modules
