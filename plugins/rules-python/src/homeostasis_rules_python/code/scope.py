"""Where a name of a function gets its value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, Iterator, List, Literal, Tuple

import libcst as cst

from homeostasis_rules_python.code.tree import Tree

BindingKind = Literal["assign", "augment", "element", "parameter", "with", "module", "import", "unknown"]


@dataclass(frozen=True)
class Binding:
    """One place that gives a name its value."""

    kind: BindingKind
    value: cst.BaseExpression | None = None
    node: cst.CSTNode | None = None


_KINDS: Dict[type, BindingKind] = {cst.AugAssign: "augment", cst.For: "element"}

_BINDING_NODES = (cst.Assign, cst.With, cst.AnnAssign, cst.AugAssign, cst.NamedExpr, cst.For)


def parameters(function: cst.FunctionDef | cst.Lambda) -> List[cst.Param]:
    """Named parameters in the order in which a call fills them, then keyword-only ones."""
    given = function.params
    return [*given.posonly_params, *given.params, *given.kwonly_params]


def binding(tree: Tree, name: str, at: cst.CSTNode) -> Binding:
    """What gives `name` its value as seen from `at`: the nearest textual binding before it in the innermost scope."""
    for ancestor in tree.ancestors(at):
        if isinstance(ancestor, (cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp)):
            found = _comprehension_binding(ancestor.for_in, name)
            if found is not None:
                return found
        if isinstance(ancestor, (cst.FunctionDef, cst.Lambda)):
            local = _function_binding(tree, ancestor, name, at)
            if local is not None:
                return local
    return _module_binding(tree, name)


def _comprehension_binding(clause: cst.CompFor | None, name: str) -> Binding | None:
    while clause is not None:
        if name in target_names(clause.target):
            return Binding("element", clause.iter, clause)
        clause = clause.inner_for_in
    return None


def _function_binding(tree: Tree, function: cst.FunctionDef | cst.Lambda, name: str, at: cst.CSTNode) -> Binding | None:
    line = tree.range(at).start
    before: List[Binding] = []
    for found in bindings_in(function.body, name):
        place = tree.range(found.node or function)
        inside = found.kind in ("element", "with") and any(found.node is node for node in tree.ancestors(at))
        if inside or (place.end.line, place.end.column) <= (line.line, line.column):
            before.append(found)
    if before:
        return before[-1]
    for parameter in parameters(function):
        if parameter.name.value == name:
            return Binding("parameter", parameter.default, parameter)
    star = function.params.star_arg
    for extra in (star if isinstance(star, cst.Param) else None, function.params.star_kwarg):
        if extra is not None and extra.name.value == name:
            return Binding("unknown", None, extra)
    return None


def _module_binding(tree: Tree, name: str) -> Binding:
    for statement in tree.module.body:
        if isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                if isinstance(small, (cst.Import, cst.ImportFrom)) and name in imported_names(small):
                    return Binding("import", None, small)
    found = [item for item in bindings_in(tree.module, name) if item.kind == "assign"]
    return Binding("module", found[0].value, found[0].node) if found else Binding("unknown")


def bindings_in(body: cst.CSTNode, name: str) -> Iterator[Binding]:
    """Bindings of a name in the scope of `body`, in the order of the source; nested scopes are left out."""
    for node in _binders(body):
        yield from _binds(node, name)


@lru_cache(maxsize=1024)
def _binders(body: cst.CSTNode) -> Tuple[cst.CSTNode, ...]:
    """The nodes of a scope that bind names: it is walked once for all of them."""
    found: List[cst.CSTNode] = []
    pending: List[cst.CSTNode] = [body]
    while pending:
        node = pending.pop()
        if node is not body and isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            continue
        if isinstance(node, _BINDING_NODES):
            found.append(node)
        pending.extend(reversed(node.children))
    return tuple(found)


def _binds(node: cst.CSTNode, name: str) -> Iterator[Binding]:
    if isinstance(node, cst.Assign):
        for target in node.targets:
            if isinstance(target.target, cst.Name) and target.target.value == name:
                yield Binding("assign", node.value, node)
            elif name in target_names(target.target):
                yield Binding("element", node.value, node)
    elif isinstance(node, cst.With):
        for item in node.items:
            if item.asname is not None and name in target_names(item.asname.name):
                yield Binding("with", item.item, node)
    elif isinstance(node, (cst.AnnAssign, cst.AugAssign, cst.NamedExpr, cst.For)) and name in target_names(node.target):
        value = node.iter if isinstance(node, cst.For) else node.value
        if value is not None:
            yield Binding(_KINDS.get(type(node), "assign"), value, node)


def target_names(target: cst.CSTNode) -> List[str]:
    """Names that an assignment target binds."""
    if isinstance(target, cst.Name):
        return [target.value]
    if isinstance(target, (cst.Tuple, cst.List)):
        return [name for element in target.elements for name in target_names(element.value)]
    return []


def imported_names(statement: cst.Import | cst.ImportFrom) -> List[str]:
    """Names that an import binds."""
    if isinstance(statement.names, cst.ImportStar):
        return []
    names = []
    for alias in statement.names:
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            names.append(alias.asname.name.value)
        else:
            # `import a.b` binds `a`; `from a import b` binds `b`.
            names.append(alias.evaluated_name.split(".")[0])
    return names
