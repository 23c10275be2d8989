"""Calls and imports that do not fit the installed version of a library, by what its source defines."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.installed import Parameters, defining_modules, functions, lacks, module_file
from homeostasis_rules_python.code.known import app_class, functions_named
from homeostasis_rules_python.code.modules import modules
from homeostasis_rules_python.code.slips import one_slip
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.code.web import imported_modules
from homeostasis_rules_python.facts import names
from homeostasis_rules_python.facts.base import Facts, extracts

_KEYWORD = re.compile(names.CALLED + r"got an unexpected keyword argument '(?P<keyword>\w{1,200})'")
_NO_NAME = re.compile(r"^cannot import name '(\w{1,200})' from '([\w.]{1,300})'")

RENAMED = {
    ("send_file", "attachment_filename"): "download_name",
    ("send_file", "cache_timeout"): "max_age",
    ("send_file", "add_etags"): "etag",
    ("send_from_directory", "filename"): "path",
    ("send_from_directory", "cache_timeout"): "max_age",
    ("Client", "proxies"): "proxy",
    ("AsyncClient", "proxies"): "proxy",
    ("Retry", "method_whitelist"): "allowed_methods",
    ("decode", "algorithm"): "algorithms",
    ("to_csv", "line_terminator"): "lineterminator",
    ("OneHotEncoder", "sparse"): "sparse_output",
}
"""(Function, keyword) to the keyword that took its place."""


@extracts("TypeError", rank=46)
def unknown_keyword(case: Case, site: Site) -> Facts | None:
    """Facts about a keyword that a library's function does not take: `keyword`, and `meant` for the one it takes.

    Its parameters are read from the installed source. A keyword means another one that is spelt nearly so, or that is
    known to have taken its place.
    """
    found = _KEYWORD.match(case.raised.message)
    if found is None or _is_of_app(case, found["name"], found["owner"]):
        return None
    keyword = found["keyword"]
    for node in site.nodes(cst.Call):
        given = (
            [arg.keyword.value for arg in node.args if arg.keyword is not None] if isinstance(node, cst.Call) else []
        )
        if not isinstance(node, cst.Call) or keyword not in given:
            continue
        called = called_name(node) or found["name"]
        if app_class(case, called) is not None or any(True for _ in functions_named(case, called)):
            return None
        known = _taking(case, site, found["name"], found["owner"])
        meant = _meant(known, called, keyword, given)
        if meant is None:
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(called=called, keyword=keyword, meant=meant, library=True)
        facts.evidence.append(f"`{found['name']}` of the installed version takes `{meant}` ({known[0].place})")
        facts.sentence = f"{facts.where} passes `{keyword}` to `{called}`, which takes `{meant}`"
        return facts
    return None


def _is_of_app(case: Case, name: str, owner: str | None) -> bool:
    if name == "__init__":
        return owner is not None and app_class(case, owner) is not None
    return any(True for _ in functions_named(case, name))


def _taking(case: Case, site: Site, name: str, owner: str | None) -> List[Parameters]:
    packages = sorted(imported_modules(site.tree) - set(modules(case)))
    return functions(case, packages, name, owner if owner != "<locals>" else None)


def _meant(known: List[Parameters], called: str, keyword: str, given: List[str]) -> str | None:
    free = {name for each in known for name in each.named} - set(given)
    if not known or any(keyword in each.named for each in known):
        return None
    renamed = RENAMED.get((called, keyword))
    if renamed in free:
        return renamed
    return one_slip(keyword, sorted(free))


@extracts("ImportError", rank=47)
def moved_in_library(case: Case, site: Site) -> Facts | None:
    """Facts about a name that a library has in exactly one other module now: `moved_from`, `moved_to`, `moved_name`."""
    found = _NO_NAME.match(case.raised.message)
    if found is None or "partially initialized" in case.raised.message:
        return None
    name, module = found.groups()
    if module in modules(case) or module_file(case, module) is None or not lacks(case, module, name):
        return None
    for node in site.nodes(cst.ImportFrom):
        if not isinstance(node, cst.ImportFrom) or node.relative or dotted_name(node.module) != module:
            continue
        places = [each for each in defining_modules(case, module.split(".")[0], name) if not _is_test(each)]
        if len(places) != 1:
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(moved_from=module, moved_to=places[0], moved_name=name, library=True)
        facts.evidence.append(f"`{places[0]}` is the only module of the installed library that defines `{name}`")
        facts.sentence = f"{site.path} imports `{name}` from `{module}`, which does not have it; `{places[0]}` does"
        return facts
    return None


def _is_test(module: str) -> bool:
    return any(
        part in ("tests", "test", "testing", "conftest") or part.startswith("test_") for part in module.split(".")
    )
