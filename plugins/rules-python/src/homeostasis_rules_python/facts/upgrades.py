"""Names, modules, methods and arguments that an upgrade of Python or of a library took away."""

from __future__ import annotations

import re
from typing import Iterator, List, Sequence, Set

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.modules import modules
from homeostasis_rules_python.code.removed import BUILTINS, GONE, METHOD_OWNERS, METHODS, MODULES, NAMES
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_OF_MODULE = re.compile(r"^module '([\w.]{1,200})' has no attribute '(\w{1,100})'")
_NO_NAME = re.compile(r"^cannot import name '(\w{1,100})' from '([\w.]{1,200})'")
_NO_MODULE = re.compile(r"^No module named '([\w.]{1,200})'")
_OF_OBJECT = re.compile(r"^'([\w.]{1,200})' object has no attribute '(\w{1,100})'")
_NO_BUILTIN = re.compile(r"^name '(\w{1,100})' is not defined")
_KEYWORD = re.compile(r"got an unexpected keyword argument '(loop|encoding)'")
_GONE_KEYWORDS = {
    "loop": ("sleep", "wait", "wait_for", "gather", "Lock", "Event", "Queue", "Semaphore", "Condition", "shield"),
    "encoding": ("loads", "load"),
}


@extracts("AttributeError", "ImportError", "ModuleNotFoundError", rank=40)
def removed_name(case: Case, site: Site) -> Facts | None:
    """Facts about a removed name: `upgrade` (its family), `old_module`, and `old_name` unless the module is gone."""
    message = case.raised.message
    attribute, name, module = _OF_MODULE.match(message), _NO_NAME.match(message), _NO_MODULE.match(message)
    if attribute is not None:
        return _removed(case, site, attribute.group(1), attribute.group(2))
    if name is not None:
        return _removed(case, site, name.group(2), name.group(1))
    return _removed(case, site, module.group(1), None) if module is not None else None


def _removed(case: Case, site: Site, module: str, name: str | None) -> Facts | None:
    for node in site.nodes(cst.Attribute, cst.ImportFrom, cst.Import):
        owner = module
        if isinstance(node, cst.Attribute):
            if name is None or node.attr.value != name:
                continue
        else:
            # `No module named 'distutils'` is said of `distutils.spawn` as well.
            owner = _imported_module(node) or ""
            if owner != module and not (name is None and owner.startswith(f"{module}.")):
                continue
        family = _family(owner, name)
        if family is None or not _replaceable(site, node, owner, name):
            continue
        if module in modules(case):
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(upgrade=family, old_module=owner, old_name=name)
        gone = f"{owner}.{name}" if name is not None else owner
        facts.sentence = f"{site.path} uses `{gone}`, which the installed version no longer has"
        return facts
    return None


def _replaceable(site: Site, node: cst.CSTNode, module: str, name: str | None) -> bool:
    """Whether the file uses nothing of a module that is gone but what has a successor, which can take its place."""
    if name == "getargspec":
        # Its successor gives more values than could be unpacked here.
        return not any(isinstance(each.targets[0].target, cst.Tuple) for each in _assigned_calls(site, name))
    if name is not None or module in MODULES:
        return True
    known = {old for owner, old in NAMES if owner == module}
    if isinstance(node, cst.ImportFrom):
        return module in GONE and not isinstance(node.names, cst.ImportStar) and _only(node.names, known)
    if not isinstance(node, cst.Import):
        return False
    bound = node.names[0].evaluated_alias or module
    used = {use.attr.value for use in site.tree.all(cst.Attribute) if dotted_name(use.value) == bound}
    return module in GONE and bool(used) and used <= known


def _only(aliases: Sequence[cst.ImportAlias], known: Set[str]) -> bool:
    return all(alias.evaluated_name in known for alias in aliases)


def _assigned_calls(site: Site, name: str) -> Iterator[cst.Assign]:
    for assign in site.tree.all(cst.Assign):
        if isinstance(assign.value, cst.Call) and called_name(assign.value) == name:
            yield assign


def _family(module: str, name: str | None) -> str | None:
    if module in MODULES:
        return MODULES[module][0]
    return next((new.family for (owner, old), new in NAMES.items() if owner == module and name in (None, old)), None)


def _imported_module(node: cst.CSTNode) -> str | None:
    if isinstance(node, cst.ImportFrom) and not node.relative:
        return dotted_name(node.module)
    if isinstance(node, cst.Import) and len(node.names) == 1:
        return node.names[0].evaluated_name
    return None


@extracts("AttributeError", rank=41)
def removed_method(case: Case, site: Site) -> Facts | None:
    """Facts about a call of a removed method: `upgrade` and `successor`."""
    found = _OF_OBJECT.match(case.raised.message)
    if found is None or found.group(2) not in METHODS:
        return None
    owner, method = found.groups()
    if method in METHOD_OWNERS and owner not in METHOD_OWNERS[method]:
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == method:
            facts = Facts.about(case, site, node)
            facts.values.update(upgrade=METHODS[method][0], successor=METHODS[method][1], old_name=method)
            facts.sentence = f"{facts.where} calls `{method}` of a {owner}, which Python 3 no longer has"
            return facts
    return None


@extracts("NameError", rank=30)
def removed_builtin(case: Case, site: Site) -> Facts | None:
    """Facts about a builtin of Python 2: `upgrade` is `python2-builtin`, `successor` its name today."""
    found = _NO_BUILTIN.match(case.raised.message)
    if found is None or found.group(1) not in BUILTINS:
        return None
    name = found.group(1)
    for node in site.nodes(cst.Name):
        if isinstance(node, cst.Name) and node.value == name:
            facts = Facts.about(case, site, node)
            facts.values.update(upgrade="python2-builtin", successor=BUILTINS[name], old_name=name)
            facts.sentence = f"{facts.where} uses `{name}`, a builtin of Python 2"
            return facts
    return None


@extracts("TypeError", rank=30)
def removed_argument(case: Case, site: Site) -> Facts | None:
    """Facts about `loop=` for asyncio and `encoding=` for json: `upgrade` is `argument`, `old_name` the keyword."""
    found = _KEYWORD.search(case.raised.message)
    calls = passing(site, found.group(1)) if found is not None else []
    for node in site.nodes(cst.Call) if found is not None else ():
        if not isinstance(node, cst.Call) or found is None or node not in calls:
            continue
        name, keyword = called_name(node), found.group(1)
        facts = Facts.about(case, site, node)
        facts.values.update(upgrade=f"{keyword}-argument", old_name=keyword)
        facts.sentence = f"{facts.where} passes `{keyword}` to `{_OWNERS[keyword]}.{name}`, which no longer takes it"
        return facts
    return None


_OWNERS = {"loop": "asyncio", "encoding": "json"}


def passing(site: Site, keyword: str) -> List[cst.Call]:
    """The calls of a file that pass a keyword argument which the functions of asyncio or json no longer take."""
    return [
        call
        for call in site.tree.all(cst.Call)
        if any(arg.keyword is not None and arg.keyword.value == keyword for arg in call.args)
        and called_name(call) in _GONE_KEYWORDS[keyword]
        and _belongs(site, call, _OWNERS[keyword])
    ]


def _belongs(site: Site, call: cst.Call, module: str) -> bool:
    if isinstance(call.func, cst.Attribute):
        return dotted_name(call.func.value) == module
    found = binding(site.tree, called_name(call) or "", call)
    return isinstance(found.node, cst.ImportFrom) and dotted_name(found.node.module) == module


@extracts("TypeError", rank=31)
def sampled_set(case: Case, site: Site) -> Facts | None:
    """Facts about `random.sample` of a set: `upgrade` is `sample`."""
    if not case.raised.message.startswith("Population must be a sequence"):
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and called_name(node) == "sample" and node.args:
            facts = Facts.about(case, site, node)
            facts.say("population", node.args[0].value)
            facts.values["upgrade"] = "sample"
            facts.sentence = f"{facts.where} samples from `{facts.values['population']}`, which has no order"
            return facts
    return None


@extracts("ValueError", rank=30)
def universal_newlines(case: Case, site: Site) -> Facts | None:
    """Facts about `open(path, 'rU')`: `upgrade` is `file-mode`."""
    if not re.match(r"^invalid mode: '[rbtU]{0,3}U[rbtU]{0,3}'", case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and called_name(node) == "open":
            for mode in _modes(node):
                facts = Facts.about(case, site, node)
                facts.say("mode", mode)
                facts.values["upgrade"] = "file-mode"
                facts.sentence = f"{facts.where} opens a file in the mode U, which Python 3.11 removed"
                return facts
    return None


def _modes(call: cst.Call) -> Iterator[cst.SimpleString]:
    for arg in call.args:
        mode = str(arg.value.evaluated_value) if isinstance(arg.value, cst.SimpleString) else ""
        if isinstance(arg.value, cst.SimpleString) and "U" in mode and set(mode) <= set("rbtU"):
            yield arg.value


@extracts("AttributeError", rank=39)
def generator_coroutine(case: Case, site: Site) -> Facts | None:
    """Facts about `@asyncio.coroutine`: `upgrade` is `coroutine`."""
    if "module 'asyncio' has no attribute 'coroutine'" not in case.raised.message:
        return None
    for node in site.nodes(cst.Decorator, cst.Attribute):
        decorator = node if isinstance(node, cst.Decorator) else site.tree.parent(node)
        if isinstance(decorator, cst.Decorator) and dotted_name(decorator.decorator) == "asyncio.coroutine":
            facts = Facts.about(case, site, decorator.decorator)
            facts.values["upgrade"] = "coroutine"
            facts.sentence = f"{site.path} makes coroutines of generators, which Python 3.11 no longer does"
            return facts
    return None
