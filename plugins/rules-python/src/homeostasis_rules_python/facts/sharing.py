"""Objects that outlive a call: default arguments that are changed, and generators that several threads advance."""

from __future__ import annotations

import re
from typing import Iterator, List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding, imported_names, parameters
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_CHANGES = frozenset(
    ("append", "extend", "insert", "add", "update", "setdefault", "pop", "remove", "discard", "clear", "popitem")
)
_CONSUMERS = frozenset(("sum", "max", "min", "any", "all", "join", "map", "filter", "enumerate", "sorted"))
_CHANGED = re.compile(r"^(?:dictionary changed size|Set changed size|dictionary keys changed|deque mutated) during")
_MEANT_TO_STAY = ("cache", "memo")
"""How names begin or end whose values are shared on purpose; so are those that begin with an underscore."""


@extracts("ValueError", "KeyError", "IndexError", "RuntimeError", "AssertionError", rank=9)
def changed_default(case: Case, site: Site) -> Facts | None:
    """`default_of`: the parameter whose list, dict or set of earlier calls the failing code met."""
    function = site.function
    caller = case.caller(site)
    if function is None or caller is None or function.decorators:
        return None
    for parameter in parameters(function):
        name = parameter.name.value
        if parameter.default is None or not _is_mutable(parameter.default) or not _is_plain(name):
            continue
        if not _was_changed(site, name) or not _changes(site.tree, function, name) or _rebound(site, function, name):
            continue
        node = _failing(site, name)
        if node is None or not _left_out(caller, function, name):
            continue
        facts = Facts.about(case, site, node)
        facts.values["default_of"] = name
        facts.nodes["parameter_default"] = parameter.default
        facts.sentence = f"{facts.where} meets in `{name}` what earlier calls left in the default that all calls share"
        return facts
    return None


def _is_mutable(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.Call):
        return called_name(node) in ("list", "dict", "set", "defaultdict", "OrderedDict", "deque")
    return isinstance(node, (cst.List, cst.Dict, cst.Set))


def _is_plain(name: str) -> bool:
    return not name.startswith(("_", *_MEANT_TO_STAY)) and not name.endswith(_MEANT_TO_STAY)


def _was_changed(site: Site, name: str) -> bool:
    """Whether the value is not known to be empty."""
    captured = site.locals.get(name)
    return captured is None or captured.length != 0


def _changes(tree: Tree, function: cst.FunctionDef, name: str) -> bool:
    return any(dotted_name(target) == name for target in _changed(tree, function))


def _changed(tree: Tree, function: cst.FunctionDef) -> Iterator[cst.CSTNode]:
    """What a function changes in place: owners of methods that do so, and containers whose items are set or deleted."""
    for call in tree.all(cst.Call, function.body):
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in _CHANGES:
            yield call.func.value
    for kind in (cst.AssignTarget, cst.AugAssign, cst.Del):
        for node in tree.all(kind, function.body):
            target = node.target  # type: ignore[attr-defined]
            if isinstance(target, cst.Subscript):
                yield target.value


def _rebound(site: Site, function: cst.FunctionDef, name: str) -> bool:
    return any(dotted_name(item.target) == name for item in site.tree.all(cst.AssignTarget, function.body))


def _failing(site: Site, name: str) -> cst.CSTNode | None:
    """The failing node, if it or the condition of its `raise` is about the parameter."""
    for node in site.nodes(cst.Raise, cst.Assert, cst.Call, cst.Subscript, cst.For):
        about: List[cst.CSTNode] = [node.iter] if isinstance(node, cst.For) else [node]
        around = site.tree.enclosing(node, cst.If) if isinstance(node, cst.Raise) else None
        about += [around.test] if around is not None else []
        if any(use.value == name for each in about for use in site.tree.all(cst.Name, each)):
            return node
    return None


def _left_out(caller: Site, function: cst.FunctionDef, name: str) -> bool:
    """Whether the caller's call leaves the parameter to its default."""
    names = [item.name.value for item in function.params.params]
    names = names[1:] if names[:1] in (["self"], ["cls"]) else names
    for call in caller.nodes(cst.Call):
        if not isinstance(call, cst.Call) or called_name(call) != function.name.value:
            continue
        if any(arg.star for arg in call.args) or function.params.posonly_params:
            return False
        given = [arg.keyword.value for arg in call.args if arg.keyword is not None]
        return name not in given and name not in names[: len(call.args) - len(given)]
    return False


@extracts("RuntimeError", rank=51)
def changed_by_another(case: Case, site: Site) -> Facts | None:
    """`iterable`: what `sum`, `max`, `join` or the like goes through while another thread changes it."""
    if not _CHANGED.match(case.raised.message):
        return None
    for call in site.nodes(cst.Call):
        if not isinstance(call, cst.Call) or called_name(call) not in _CONSUMERS or len(call.args) < 1:
            continue
        given = call.args[0].value
        view = isinstance(given, cst.Call) and called_name(given) in ("items", "values", "keys") and not given.args
        if call.args[0].star or not (view or isinstance(given, (cst.Name, cst.Attribute))):
            continue
        facts = Facts.about(case, site, given)
        facts.say("iterable", given)
        facts.sentence = f"{facts.where} goes through `{facts.values['iterable']}` while another thread changes it"
        return facts
    return None


@extracts("ValueError", rank=16)
def shared_generator(case: Case, site: Site) -> Facts | None:
    """`generator`: the module's generator that two threads advanced at once."""
    if case.raised.message != "generator already executing":
        return None
    for call in site.nodes(cst.Call):
        if not isinstance(call, cst.Call) or dotted_name(call.func) != "next" or not call.args:
            continue
        name = dotted_name(call.args[0].value)
        if name is None or binding(site.tree, name, call).kind != "module" or _exported(case, site, name):
            continue
        if advances(site.tree, name) is None:
            continue
        facts = Facts.about(case, site, call)
        facts.values["generator"] = name
        facts.sentence = f"{facts.where} advances the generator `{name}` while another thread does"
        return facts
    return None


def advances(tree: Tree, name: str) -> List[cst.SimpleStatementLine] | None:
    """The statements of functions with `next(name)`; None if the generator is used in another way as well."""
    found: List[cst.SimpleStatementLine] = []
    for use in _uses(tree, name):
        argument = tree.parent(use)
        call = tree.parent(argument) if isinstance(argument, cst.Arg) else None
        function, statement = tree.function(use), tree.statement(use)
        if not isinstance(call, cst.Call) or dotted_name(call.func) != "next" or function is None:
            return None
        if not isinstance(statement, cst.SimpleStatementLine) or function.asynchronous is not None:
            return None
        if any(True for _node in tree.all(cst.Yield, statement)):
            return None
        if statement not in found:
            found.append(statement)
    return found or None


def _uses(tree: Tree, name: str) -> Iterator[cst.Name]:
    for use in tree.all(cst.Name):
        if use.value == name and not isinstance(tree.parent(use), cst.AssignTarget):
            yield use


def _exported(case: Case, site: Site, name: str) -> bool:
    return any(
        name in imported_names(node)
        for tree in case.trees(name.encode())
        if tree.path != site.path
        for node in tree.all(cst.ImportFrom)
    )
