"""What the code says of a field of the request that is missing: whether it may be, and what stands for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of, subscript_key
from homeostasis_rules_python.code.web import handlers, path_parameters

MAX_NAMES = 3
"""Names that are followed to the request."""
_REFUSING = frozenset(("abort", "HTTPException"))


@dataclass(frozen=True)
class Read:
    """One place that reads a field."""

    tree: Tree
    node: cst.Subscript | cst.Call
    container: cst.BaseExpression
    key: str
    default: cst.BaseExpression | None = None

    @property
    def needs(self) -> bool:
        """Whether the place fails without the field."""
        popped = isinstance(self.node, cst.Call) and called_name(self.node) == "pop" and self.default is None
        return popped or isinstance(self.node, cst.Subscript)

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.tree.path}:{self.tree.range(self.node).start.line}"


def reads(tree: Tree, inside: cst.CSTNode | None = None) -> Iterator[Read]:
    """The places that read fields by fixed names: `data["name"]`, `data.get("name")`, `data.get("name", default)`."""
    for item in tree.all(cst.Subscript, inside):
        key = literal_of(subscript_key(item))[1]
        if isinstance(key, str) and not isinstance(tree.parent(item), (cst.AssignTarget, cst.Del)):
            yield Read(tree, item, item.value, key)
    for call in tree.all(cst.Call, inside):
        if called_name(call) in ("get", "pop") and isinstance(call.func, cst.Attribute):
            key = literal_of(argument(call, 0))[1]
            if isinstance(key, str) and dotted_name(call.func.value) not in ("os.environ", "environ"):
                yield Read(tree, call, call.func.value, key, argument(call, 1, "default"))


def is_sent(tree: Tree, container: cst.BaseExpression, own: str) -> bool:
    """Whether a container is what a client sent, or a parameter that is called as one that is known to be (`own`)."""
    node: cst.BaseExpression = container
    for _name in range(MAX_NAMES):
        if any(name.value in ("request", "req") for name in tree.all(cst.Name, node)):
            return True
        while isinstance(node, (cst.Subscript, cst.Attribute, cst.Call)):
            node = node.func if isinstance(node, cst.Call) else node.value
        found = binding(tree, node.value, node) if isinstance(node, cst.Name) else None
        if found is not None and found.kind == "parameter":
            return dotted_name(container) == own
        if found is None or found.kind not in ("assign", "element") or found.value is None:
            return False
        node = found.value
    return False


def of_field(case: Case, key: str, own: str) -> List[Read]:
    """The places of the app that read a field of that name from what a client sent."""
    trees = case.trees(key.encode("utf-8", "replace"))
    return [read for tree in trees for read in reads(tree) if read.key == key and is_sent(tree, read.container, own)]


def siblings(site: Site, key: str, own: str) -> List[Read]:
    """The other fields that the function reads from the same container."""
    if site.function is None:
        return []
    found = reads(site.tree, site.function.body)
    return [read for read in found if read.key != key and dotted_name(read.container) == own]


def is_fixed(value: cst.BaseExpression) -> bool:
    """Whether a default is the same wherever it stands: a literal, an empty collection or a constant."""
    if isinstance(value, (cst.List, cst.Tuple, cst.Dict)):
        return not value.elements
    return literal_of(value)[0] or (isinstance(value, cst.Name) and value.value.isupper())


def is_required(read: Read) -> bool:
    """Whether a place refuses without the field: `if not data.get("name"): abort(400)`, also by way of a name."""
    tree = read.tree
    name = assigned_name(tree, read.node)
    function = tree.function(read.node)
    for test in tree.all(cst.If, function.body if function is not None else None):
        inside = any(node is read.node for node in tree.all(type(read.node), test.test))
        named = name is not None and any(node.value == name for node in tree.all(cst.Name, test.test))
        if (inside or named) and refuses(tree, test.body):
            return True
    return False


def refuses(tree: Tree, body: cst.CSTNode) -> bool:
    """Whether a block leaves with an exception, `abort` or a status of 4xx."""
    if any(True for _each in tree.all(cst.Raise, body)):
        return True
    if any(called_name(call) in _REFUSING for call in tree.all(cst.Call, body)):
        return True
    statuses = [literal_of(number)[1] for line in tree.all(cst.Return, body) for number in tree.all(cst.Integer, line)]
    return any(isinstance(status, int) and 400 <= status < 500 for status in statuses)


def checked(tree: Tree, function: cst.FunctionDef, own: str) -> List[str]:
    """The fields that a function refuses to go on without: `if "name" not in data: abort(400)`."""
    found: List[str] = []
    for test in tree.all(cst.If, function.body):
        for each in tree.all(cst.Comparison, test.test) if refuses(tree, test.body) else ():
            target = each.comparisons[0]
            field = literal_of(each.left)[1]
            if isinstance(target.operator, cst.NotIn) and dotted_name(target.comparator) == own:
                found += [field] if isinstance(field, str) else []
    return found


def assigned_name(tree: Tree, node: cst.CSTNode) -> str | None:
    """`x` of `x = node`."""
    parent = tree.parent(node)
    if isinstance(parent, cst.Assign) and len(parent.targets) == 1:
        return dotted_name(parent.targets[0].target) if isinstance(parent.targets[0].target, cst.Name) else None
    return None


def own_handling(tree: Tree, node: cst.BaseExpression) -> str | None:
    """How the code goes on itself when what it reads here is None or empty; None if it does not provide for that."""
    parent = tree.parent(node)
    line = tree.range(node).start.line
    if isinstance(parent, cst.BooleanOperation) and parent.left is node and isinstance(parent.operator, cst.Or):
        return f"line {line} itself goes on with {tree.code(parent.right).strip()} where it is empty"
    name, function = assigned_name(tree, node), tree.function(node)
    if name is None or function is None:
        return None
    uses = [use for use in tree.all(cst.Name, function.body) if use.value == name and tree.range(use).start.line > line]
    uses.sort(key=lambda use: (tree.range(use).start.line, tree.range(use).start.column))
    test = _first_test(tree, uses)
    if test is None or not _provides(tree, test, name):
        return None
    return f"line {tree.range(test).start.line} itself provides for a `{name}` that is missing"


def _first_test(tree: Tree, uses: List[cst.Name]) -> cst.If | cst.IfExp | None:
    """The condition that has the first of these names in its test; for `a if name else b`, where `a` uses it too."""
    for use in uses[:2]:
        for outer in tree.ancestors(use):
            if isinstance(outer, (cst.If, cst.IfExp)):
                if any(each is use for each in tree.all(cst.Name, outer.test)):
                    return outer
                inner = any(each.value == use.value for each in tree.all(cst.Name, outer.test))
                if isinstance(outer, cst.IfExp) and inner:
                    return outer
    return None


def _provides(tree: Tree, test: cst.If | cst.IfExp, name: str) -> bool:
    condition = test.test
    first = condition.left if isinstance(condition, cst.BooleanOperation) else condition
    if isinstance(first, cst.Comparison):
        target = first.comparisons[0]
        compared = dotted_name(first.left) == name and dotted_name(target.comparator) == "None"
        return compared and isinstance(target.operator, (cst.Is, cst.IsNot))
    if isinstance(condition, cst.UnaryOperation) and isinstance(condition.operator, cst.Not):
        if dotted_name(condition.expression) != name or not isinstance(test, cst.If):
            return False
        sets = any(dotted_name(each.target) == name for each in tree.all(cst.AssignTarget, test.body))
        return sets or refuses(tree, test.body)
    uses = any(each.value == name for each in tree.all(cst.Name, test.body))
    return dotted_name(condition) == name and uses


def kept_value(site: Site, node: cst.BaseExpression, own: str) -> str | None:
    """`ITEM["price"]` of `ITEM["price"] = data["price"]`, where a neighbour keeps what was there.

    Such as `ITEM["name"] = data.get("name", ITEM["name"])`.
    """
    tree, parent = site.tree, site.tree.parent(node)
    if not isinstance(parent, cst.Assign) or len(parent.targets) != 1 or site.function is None:
        return None
    target = parent.targets[0].target
    if isinstance(target, cst.Name):
        return None
    for read in reads(tree, site.function.body):
        around = tree.parent(read.node)
        if read.default is None or dotted_name(read.container) != own or not isinstance(around, cst.Assign):
            continue
        if tree.code(around.targets[0].target).strip() == tree.code(read.default).strip():
            return tree.code(target).strip()
    return None


def signature_default(case: Case, key: str) -> tuple[str, str] | None:
    """The default that another handler of the framework declares for a parameter of that name, and where."""
    for tree in case.trees(key.encode("utf-8", "replace")):
        for function in handlers(tree):
            for each in (*function.params.params, *function.params.kwonly_params):
                known, value = literal_of(each.default)
                if each.name.value == key and known and value is not None and key not in path_parameters(function):
                    return tree.code(each.default).strip() if each.default else "", (
                        f"`{function.name.value}` in {tree.path} takes {key} with a default"
                    )
    return None


def parameter_default(case: Case, site: Site, node: cst.BaseExpression) -> tuple[cst.BaseExpression, str] | None:
    """The default of the parameter of a function or class of the app that the value is passed to, and where."""
    tree = site.tree
    arg = tree.parent(node)
    call = tree.parent(arg) if isinstance(arg, cst.Arg) else None
    name = called_name(call) if isinstance(call, cst.Call) else None
    if name is None or not isinstance(call, cst.Call) or not isinstance(arg, cst.Arg):
        return None
    for other in case.trees(name.encode("utf-8", "replace")):
        for function in other.all(cst.FunctionDef):
            owner = other.enclosing(function, (cst.ClassDef, cst.FunctionDef))
            of_class = isinstance(owner, cst.ClassDef) and function.name.value == "__init__"
            made = owner.name.value if of_class and isinstance(owner, cst.ClassDef) else function.name.value
            if made != name:
                continue
            found = _parameter(function, call, arg, skips=isinstance(owner, cst.ClassDef))
            if found is not None and found.default is not None:
                return found.default, f"`{name}` in {other.path} takes {found.name.value} with a default"
    return None


def _parameter(function: cst.FunctionDef, call: cst.Call, arg: cst.Arg, *, skips: bool) -> cst.Param | None:
    named = [*function.params.params, *function.params.kwonly_params]
    if arg.keyword is not None:
        return next((each for each in named if each.name.value == arg.keyword.value), None)
    plain = list(function.params.params)[1 if skips else 0 :]
    position = next((index for index, each in enumerate(call.args) if each is arg), -1)
    return plain[position] if 0 <= position < len(plain) else None


def says_optional(text: str, key: str) -> bool:
    """Whether a text calls a field optional, or names its default, in the line that names it."""
    plain = re.escape(key)
    found = re.search(
        rf"\b{plain}\b(?![^\n,;]{{0,80}}\brequired\b)[^\n;]{{0,80}}\b(?:optional|defaults?)\b", text, re.IGNORECASE
    )
    return found is not None
