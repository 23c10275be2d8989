"""Functions that work a result out and do not return it, so that their callers get None."""

from __future__ import annotations

import re
from typing import List, Tuple

import libcst as cst

from homeostasis_rules_python.code.callee import Callee, callee, only_function
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import has_keyword
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.origin import passed_argument
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name

MAX_DEPTH = 6
"""Names, parameters and calls that are followed back."""

_WITHOUT_EFFECT = (
    cst.Name,
    cst.Attribute,
    cst.Subscript,
    cst.Tuple,
    cst.BinaryOperation,
    cst.BooleanOperation,
    cst.Comparison,
    cst.FormattedString,
    cst.List,
    cst.Dict,
    cst.ListComp,
    cst.DictComp,
)
_PROPERTIES = frozenset(("property", "cached_property"))
_GIVING = frozenset(
    ("__missing__", "__getitem__", "__getattr__", "__enter__", "__add__", "__radd__", "__sub__", "__mul__", "__or__",
     "__and__", "__truediv__", "__neg__", "__new__", "__copy__", "__deepcopy__", "__iter__", "__next__", "__len__",
     "__str__", "__repr__", "__hash__", "__eq__", "__lt__", "__contains__", "__bool__", "__reduce__", "__getstate__",
     "__format__", "__int__", "__float__", "__index__", "__reversed__", "__iadd__", "__ior__", "__get__")
)  # fmt: skip
"""Special methods whose result is what they are called for."""
_SAYS_IT_GIVES = re.compile(
    r":returns?(?: [^:\n]{1,80})?:(?!\s*None\b)|:rtype:(?!\s*None\b)"
    r"|^[ \t]{0,40}Returns?:?[ \t]{0,40}\n\s{0,80}(?:-{3,80}\s{1,80})?(?!None\b)[^\s-]"
    r"|\A\s*(?:Returns?|Gives?|Yields?|Gets?|Makes?|Creates?|Builds?)\s+(?!None\b)\w",
    re.MULTILINE,
)
"""A docstring that speaks of a result: `:return: ...`, `Returns:` of Google and NumPy, `Return the ...`."""

Dropped = Tuple[Tree, cst.FunctionDef, cst.Expr]
"""The file, the function and the statement whose value is lost."""


def dropped_result(case: Case, site: Site, value: cst.BaseExpression) -> Dropped | None:
    """The statement of the function that made a value, if the function drops its result instead of returning it."""
    maker = _maker(case, site, value, MAX_DEPTH)
    return dropped_in(maker) if maker is not None else None


def dropped_in(maker: Callee) -> Dropped | None:
    """The one statement of a function that ends a block with a value and drops it.

    Only an expression that does nothing else counts, or the call at the end of a function that returns a value on
    other ways, or says in its annotation that it does.
    """
    if maker.is_generator:
        return None
    tree, function = maker.tree, maker.function
    found = [line for line in _last_lines(tree, function) if is_without_effect(line.value)]
    if not found and (_promises(tree, function) or _makes_object(function)):
        last = function.body.body[-1] if function.body.body else None
        found = [line for line in _last_lines(tree, function) if tree.parent(line) is last]
        found = [line for line in found if isinstance(line.value, cst.Call)]
    if len(found) != 1 or only_passes_on(found[0]):
        return None
    return tree, function, found[0]


_PURE = frozenset(
    ("sorted", "list", "dict", "tuple", "set", "frozenset", "str", "int", "float", "len", "sum", "min", "max", "zip",
     "map", "filter", "enumerate", "reversed", "round", "abs", "bool", "any", "all", "range")
)  # fmt: skip
_PURE_METHODS = frozenset(
    ("join", "format", "strip", "lstrip", "rstrip", "upper", "lower", "title", "capitalize", "replace", "split",
     "isoformat", "strftime", "items", "keys", "values", "encode", "decode", "startswith", "endswith")
)  # fmt: skip


def is_without_effect(value: cst.BaseExpression) -> bool:
    """Whether an expression does nothing but give a value, so that dropping it cannot be meant."""
    if isinstance(value, cst.Call) and isinstance(value.func, cst.Name):
        return value.func.value in _PURE
    if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute):
        return value.func.attr.value in _PURE_METHODS and not _may_act(value, value.func)
    return isinstance(value, _WITHOUT_EFFECT)


def _may_act(call: cst.Call, method: cst.Attribute) -> bool:
    """Whether a method may be one that does something: `thread.join()`, `os.replace(a, b)`, `axes.title(text)`."""
    name, owner = method.attr.value, method.value
    if name == "join":
        return not isinstance(owner, cst.BaseString) and dotted_name(owner) != "os.path"
    if name == "replace":
        plain = [arg for arg in call.args if arg.keyword is None]
        return len(plain) == 1 or dotted_name(owner) == "os" or has_keyword(call, "inplace")
    return name == "title" and bool(call.args)


def only_passes_on(line: cst.Expr) -> bool:
    """Whether a call only passes on to the base class, as `super().close()` does."""
    func = line.value.func if isinstance(line.value, cst.Call) else None
    owner = func.value if isinstance(func, cst.Attribute) else None
    return isinstance(owner, cst.Call) and called_name(owner) == "super"


def _last_lines(tree: Tree, function: cst.FunctionDef) -> List[cst.Expr]:
    """Expression statements at the end of a block of the function itself."""
    found = []
    for line in tree.all(cst.Expr, function.body):
        statement = tree.parent(line)
        block = tree.parent(statement) if statement is not None else None
        if not isinstance(statement, cst.SimpleStatementLine) or not isinstance(block, cst.IndentedBlock):
            continue
        if block.body[-1] is statement and statement.body[-1] is line and tree.function(line) is function:
            found.append(line)
    return found


def _promises(tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether a function is meant to give something: by its annotation, by other returns, or by being a property."""
    if function.returns is not None:
        return tree.code(function.returns.annotation).strip("'\" ") not in ("None", "NoReturn", "Never")
    if function.name.value in _GIVING or _SAYS_IT_GIVES.search(function.get_docstring() or "") is not None:
        return True
    returns = [node for node in tree.all(cst.Return, function.body) if tree.function(node) is function]
    return any(node.value is not None and dotted_name(node.value) != "None" for node in returns) or _is_property(
        function
    )


def _makes_object(function: cst.FunctionDef) -> bool:
    """Whether a function ends in making an object of a class, as a factory does."""
    last = function.body.body[-1] if function.body.body else None
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
    call = small.value if isinstance(small, cst.Expr) else None
    if not isinstance(call, cst.Call):
        return False
    if isinstance(call.func, cst.Call):
        return called_name(call.func) == "type"
    name = called_name(call) or ""
    return name in ("cls", "__class__") or (name.lstrip("_")[:1].isupper() and not name.isupper())


def _is_property(function: cst.FunctionDef) -> bool:
    return any((dotted_name(item.decorator) or "").split(".")[-1] in _PROPERTIES for item in function.decorators)


def _maker(case: Case, site: Site, node: cst.BaseExpression, depth: int) -> Callee | None:
    """The function of the app that gave a value."""
    if depth == 0:
        return None
    if isinstance(node, cst.Await):
        return _maker(case, site, node.expression, depth - 1)
    if isinstance(node, cst.Call):
        return callee(case, site.tree, node) or _nested(site, node)
    if isinstance(node, cst.Attribute):
        return _property(case, node.attr.value)
    if not isinstance(node, cst.Name):
        return None
    found, function = binding(site.tree, node.value, node), site.tree.function(node)
    if found.kind == "with":
        return only_function(case, "__enter__")
    if found.kind in ("assign", "element") and found.value is not None:
        return _maker(case, site, found.value, depth - 1)
    if found.kind == "parameter" and function is not None and isinstance(found.node, cst.Param):
        return _given(case, site, function, found.node, depth)
    return None


def _given(case: Case, site: Site, function: cst.FunctionDef, parameter: cst.Param, depth: int) -> Callee | None:
    default = parameter.default
    if isinstance(default, cst.Call) and called_name(default) in ("Depends", "Security") and default.args:
        return callee(case, site.tree, cst.Call(default.args[0].value))
    caller = case.caller(site) if function is site.function else None
    given = passed_argument(caller, function, parameter) if caller is not None else None
    return _maker(case, caller, given, depth - 1) if caller is not None and given is not None else None


def _nested(site: Site, call: cst.Call) -> Callee | None:
    """The one function of the file that has the name, be it inside another function."""
    name = call.func.value if isinstance(call.func, cst.Name) else None
    found = [function for function in site.tree.all(cst.FunctionDef) if function.name.value == name]
    return Callee(site.tree, found[0]) if len(found) == 1 else None


def _property(case: Case, name: str) -> Callee | None:
    found = [Callee(tree, function) for tree, function in functions_named(case, name) if _is_property(function)]
    return found[0] if len(found) == 1 else None
