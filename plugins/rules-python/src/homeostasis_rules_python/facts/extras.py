"""Modules that belong to an optional part of the project, which is not installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

import libcst as cst

from homeostasis.toml import tomllib
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.facts.base import Facts, extracts

_NO_MODULE = re.compile(r"^No module named '([A-Za-z_]\w{0,100})(?:\.[\w.]{1,200})?'")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,100})")
_DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "PIL": "pillow",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "jwt": "pyjwt",
    "bs4": "beautifulsoup4",
    "MySQLdb": "mysqlclient",
    "psycopg2": "psycopg2-binary",
    "multipart": "python-multipart",
    "jose": "python-jose",
    "magic": "python-magic",
    "slugify": "python-slugify",
    "serial": "pyserial",
}
"""Modules of distributions that have another name."""
MAX_BYTES = 200_000


@extracts("ModuleNotFoundError", "ImportError", rank=61)
def optional_dependency(case: Case, site: Site) -> Facts | None:
    """`extra` of the project's own distribution that brings the missing module, and its `distribution`."""
    found = _NO_MODULE.match(case.raised.message)
    project = _project(case.source.root) if found is not None else {}
    if found is None or not project:
        return None
    module = found.group(1)
    wanted = {_plain(module), _plain(_DISTRIBUTIONS.get(module, module))}
    extras = project.get("optional-dependencies")
    if wanted & _names(project.get("dependencies")) or not isinstance(extras, dict):
        return None
    bringing = [str(name) for name, listed in extras.items() if wanted & _names(listed)]
    nodes = site.nodes(cst.ImportFrom, cst.Import, cst.Call)
    if not bringing or not nodes:
        return None
    facts = Facts.about(case, site, nodes[0])
    facts.values.update(extra=bringing[0], distribution=sorted(wanted & _names(extras[bringing[0]]))[0])
    facts.evidence.append(f"pyproject.toml lists it under optional-dependencies.{bringing[0]}, and nowhere else")
    install = f"pip install '{project.get('name', '.')}[{bringing[0]}]'"
    facts.sentence = f"{site.path} imports `{module}`, which only the extra `{bringing[0]}` installs: {install}"
    return facts


def _project(root: Path) -> Dict[str, Any]:
    path = root / "pyproject.toml"
    try:
        if path.is_symlink() or path.stat().st_size > MAX_BYTES:
            return {}
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    project = found.get("project")
    return project if isinstance(project, dict) else {}


def _names(listed: object) -> set[str]:
    requirements: List[object] = listed if isinstance(listed, list) else []
    found = [_REQUIREMENT.match(each) for each in requirements if isinstance(each, str)]
    return {_plain(each.group(1)) for each in found if each is not None}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
