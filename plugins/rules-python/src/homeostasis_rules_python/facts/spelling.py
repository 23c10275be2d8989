"""Names of builtins and libraries that are spelt wrongly or looked for in the wrong place."""

from __future__ import annotations

import builtins
import inspect
import re
from importlib import import_module
from typing import FrozenSet, List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.installed import available, is_module, lacks, module_file
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.members import members
from homeostasis_rules_python.code.modules import modules
from homeostasis_rules_python.code.scope import bindings_in, parameters
from homeostasis_rules_python.code.slips import one_slip
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_OF_OBJECT = re.compile(r"^'(str|bytes|list|dict|set|tuple|int|float|frozenset)' object has no attribute '(\w{1,100})'")
_OF_MODULE = re.compile(r"^module '([\w.]{1,200})' has no attribute '(\w{1,100})'")
_INVALID = re.compile(r"^'(\w{1,100})' is an invalid keyword argument for (?:this function|\w{1,100}\(\))")
_UNDEFINED = re.compile(r"^name '(\w{1,200})' is not defined")
_SAFE = frozenset(
    ("base64", "collections", "copy", "csv", "datetime", "decimal", "enum", "functools", "hashlib", "heapq", "html",
     "io", "itertools", "json", "logging", "math", "operator", "os", "pathlib", "random", "re", "secrets", "shutil",
     "statistics", "string", "struct", "sys", "tempfile", "textwrap", "time", "typing", "uuid", "zlib", "os.path")
)  # fmt: skip
"""Modules of the standard library that this package uses itself or that do nothing when they are imported."""


@extracts("AttributeError", rank=48)
def misspelt_builtin(case: Case, site: Site) -> Facts | None:
    """`mistake` is `misspelt-attribute`: a method of a builtin type or a name of a module that is spelt nearly so."""
    of_object, of_module = _OF_OBJECT.match(case.raised.message), _OF_MODULE.match(case.raised.message)
    if of_object is not None:
        kind, name = of_object.groups()
        meant = one_slip(name, [each for each in dir(getattr(builtins, kind)) if not each.startswith("_")])
        owner = f"a {kind}"
    elif of_module is not None:
        owner, name = of_module.groups()
        meant = one_slip(name, sorted(_names(case, owner)))
    else:
        return None
    for node in site.nodes(cst.Attribute) if meant is not None else ():
        if isinstance(node, cst.Attribute) and node.attr.value == name and meant is not None:
            new = node.with_changes(attr=cst.Name(meant))
            sentence = f"{{where}} asks {owner} for `{name}`, which it calls `{meant}`"
            return replacing(case, site, "misspelt-attribute", node, new, sentence)
    return None


def _names(case: Case, module: str) -> FrozenSet[str]:
    """Public names of a module that is none of the app's."""
    if module in modules(case):
        return frozenset()
    if module in _SAFE:
        return frozenset(name for name in dir(import_module(module)) if not name.startswith("_"))
    return frozenset(name for name in available(case, module) or () if not name.startswith("_"))


@extracts("AttributeError", rank=47)
def not_imported(case: Case, site: Site) -> Facts | None:
    """`forgotten` is a module in a package, which the import of the package alone does not bring.

    `mistake` is `path-function` for `os.join` and the like, which `os.path` has.
    """
    found = _OF_MODULE.match(case.raised.message)
    if found is None or found.group(1) in modules(case):
        return None
    for node in site.nodes(cst.Attribute):
        if not isinstance(node, cst.Attribute) or node.attr.value != found.group(2):
            continue
        owner = dotted_name(node.value)
        if found.group(1) == "os" and found.group(2) in _PATH_FUNCTIONS and owner is not None:
            new = cst.Attribute(cst.Attribute(node.value, cst.Name("path")), node.attr)
            sentence = f"{{where}} calls `{site.tree.code(node)}`, which stands in os.path"
            return replacing(case, site, "path-function", node, new, sentence)
        return _submodule(case, site, node) if owner == found.group(1) else None
    return None


_PATH_FUNCTIONS = frozenset(
    ("join", "exists", "basename", "dirname", "isfile", "isdir", "splitext", "abspath", "realpath")
)


def _submodule(case: Case, site: Site, node: cst.Attribute) -> Facts | None:
    wanted, current = "", node
    while isinstance(current, cst.Attribute):
        name = dotted_name(current)
        if name is None or not is_module(case, name):
            break
        wanted = name
        parent = site.tree.parent(current)
        if not isinstance(parent, cst.Attribute) or parent.value is not current:
            break
        current = parent
    if not wanted:
        return None
    facts = Facts.about(case, site, node)
    facts.values["forgotten"] = wanted
    facts.evidence.append(f"`{wanted}` is a module of its own, which has to be imported as such")
    facts.sentence = f"{facts.where} uses `{wanted}`, of which {site.path} imports the package only"
    return facts


@extracts("ImportError", rank=48)
def misspelt_import(case: Case, site: Site) -> Facts | None:
    """`mistake` is `misspelt-import`: a name is imported from a library that has it under nearly the same."""
    found = re.match(r"^cannot import name '(\w{1,100})' from '([\w.]{1,200})'", case.raised.message)
    if found is None or found.group(2) in modules(case):
        return None
    name, module = found.groups()
    known = module in _SAFE or (module_file(case, module) is not None and lacks(case, module, name))
    meant = one_slip(name, sorted(_names(case, module))) if known else None
    for node in site.nodes(cst.ImportFrom) if meant is not None else ():
        if not isinstance(node, cst.ImportFrom) or isinstance(node.names, cst.ImportStar) or meant is None:
            continue
        for alias in node.names:
            if alias.evaluated_name == name and alias.asname is None:
                facts = Facts.about(case, site, node)
                facts.values.update(mistake="misspelt-import", imported=name, imported_meant=meant)
                facts.sentence = f"{site.path} imports `{name}` from `{module}`, which calls it `{meant}`"
                return facts
    return None


@extracts("TypeError", rank=48)
def misspelt_option(case: Case, site: Site) -> Facts | None:
    """Facts about a keyword that a builtin function does not take: `keyword` and `meant`."""
    found = _INVALID.match(case.raised.message)
    for node in site.nodes(cst.Call) if found is not None else ():
        given = (
            [arg.keyword.value for arg in node.args if arg.keyword is not None] if isinstance(node, cst.Call) else []
        )
        if not isinstance(node, cst.Call) or found is None or found.group(1) not in given:
            continue
        name = called_name(node) or ""
        meant = one_slip(found.group(1), [each for each in _options(name) if each not in given])
        if meant is None:
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(called=name, keyword=found.group(1), meant=meant, library=True)
        facts.sentence = f"{facts.where} passes `{found.group(1)}` to `{name}`, which takes `{meant}`"
        return facts
    return None


_TAKEN = {
    "timedelta": ["days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks"],
    "datetime": ["year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold"],
    "date": ["year", "month", "day"],
    "min": ["key", "default"],
    "max": ["key", "default"],
}
"""What functions take that cannot be asked for their signature."""


def _options(name: str) -> List[str]:
    if name in _TAKEN:
        return _TAKEN[name]
    function = list.sort if name == "sort" else getattr(builtins, name, None)
    try:
        return list(inspect.signature(function).parameters) if callable(function) else []
    except (TypeError, ValueError):
        return []


@extracts("NameError", rank=43)
def member_without_self(case: Case, site: Site) -> Facts | None:
    """`mistake` is `member`: a method reads an attribute or calls a method of its object without `self.`."""
    found, function = _UNDEFINED.match(case.raised.message), site.function
    if found is None or case.raised.type != "NameError" or function is None:
        return None
    name, first = found.group(1), next((each.name.value for each in parameters(function)), None)
    cls = site.tree.enclosing(function, (cst.ClassDef, cst.FunctionDef))
    owner = app_class(case, cls.name.value) if isinstance(cls, cst.ClassDef) and first == "self" else None
    known = members(case, owner) if owner is not None else None
    if known is None or name not in known or any(True for _ in bindings_in(function.body, name)):
        return None
    for node in site.nodes(cst.Name):
        if isinstance(node, cst.Name) and node.value == name:
            sentence = f"{{where}} uses `{name}`, which is a member of its object"
            return replacing(case, site, "member", node, cst.Attribute(cst.Name("self"), cst.Name(name)), sentence)
    return None
