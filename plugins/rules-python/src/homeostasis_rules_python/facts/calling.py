"""Calls of what is not called that way: modules, properties, methods without parentheses, classes, keyword-only."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.callee import only_function
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class, functions_named
from homeostasis_rules_python.code.scope import binding, parameters
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

NAMESAKES = frozenset(("datetime", "pprint", "glob", "copy", "tqdm", "time", "array", "bisect", "select", "socket"))
"""Modules with a function or class of their own name."""
_UNCALLED = re.compile(
    r"^(?:argument of type )?'(?:builtin_function_or_method|method|function|method_descriptor)' object is not iterable"
    r"|^argument of type '(?:builtin_function_or_method|method|function)' is not (?:iterable|a container)"
    r"|^object of type '(?:builtin_function_or_method|method|function)' has no len\(\)"
)
_POSITIONAL = re.compile(
    r"(\w{1,200})\(\) takes (?:from \d+ to )?(\d+) positional arguments? but (\d+) (?:was|were) given"
)
_NO_SELF = re.compile(r"(\w{1,200})\(\) missing 1 required positional argument: 'self'$")


@extracts("TypeError", rank=36)
def not_callable(case: Case, site: Site) -> Facts | None:
    """`mistake` is `module-call` for `datetime(...)`, `called-property` for a property with parentheses."""
    if "object is not callable" not in case.raised.message:
        return None
    of_module = case.raised.message.startswith("'module'")
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call):
            continue
        if of_module and isinstance(node.func, cst.Name) and node.func.value in NAMESAKES:
            name = node.func.value
            if binding(site.tree, name, node).kind == "import":
                new = cst.Attribute(cst.Name(name), cst.Name(name))
                sentence = f"{{where}} calls the module `{name}` instead of `{name}.{name}`"
                return replacing(case, site, "module-call", node.func, new, sentence)
        plain = not of_module and isinstance(node.func, cst.Attribute) and not node.args
        if plain and isinstance(node.func, cst.Attribute) and _is_property(case, node.func.attr.value):
            sentence = f"{{where}} calls `{site.tree.code(node.func)}`, which is a property"
            return replacing(case, site, "called-property", node, node.func, sentence)
    return None


_VALUE = re.compile(r"^'(?:str|int|float|bool|bytes|list|dict|tuple|set|datetime\.\w{1,20}|ImmutableMultiDict)' object")


def _is_property(case: Case, name: str) -> bool:
    """Whether an attribute is none that is called: a property of the app, or a plain value of a library's object."""
    if any(True for _ in functions_named(case, name)):
        return _only_property(case, name)
    return _VALUE.match(case.raised.message) is not None


def _only_property(case: Case, name: str) -> bool:
    """Whether every definition of that name in the app is a property."""
    marks = [
        {(dotted_name(item.decorator) or "").split(".")[-1] for item in function.decorators}
        for _tree, function in functions_named(case, name)
    ]
    return bool(marks) and all(each & {"property", "cached_property", "hybrid_property", "setter"} for each in marks)


@extracts("TypeError", rank=37)
def not_called(case: Case, site: Site) -> Facts | None:
    """`mistake` is `uncalled-method`: a method without parentheses where its result is meant."""
    if not _UNCALLED.match(case.raised.message):
        return None
    for node in site.nodes(cst.For, cst.CompFor, cst.Call, cst.Comparison):
        target = _used(node)
        if isinstance(target, cst.Attribute):
            sentence = f"{{where}} uses the method `{site.tree.code(target)}` itself, without calling it"
            return replacing(case, site, "uncalled-method", target, cst.Call(target), sentence)
    return None


def _used(node: cst.CSTNode) -> cst.BaseExpression | None:
    if isinstance(node, (cst.For, cst.CompFor)):
        return node.iter
    if isinstance(node, cst.Comparison):
        return node.comparisons[0].comparator
    names = ("len", "list", "sorted", "sum", "set", "tuple", "dict", "min", "max", "any", "all", "enumerate")
    if isinstance(node, cst.Call) and called_name(node) in names and node.args:
        return node.args[0].value
    return None


@extracts("TypeError", rank=38)
def keyword_only(case: Case, site: Site) -> Facts | None:
    """`mistake` is `keyword-only`: arguments without names for parameters that need them."""
    found = _POSITIONAL.search(case.raised.message)
    function = only_function(case, found.group(1)) if found is not None else None
    for node in site.nodes(cst.Call) if function is not None else ():
        if not isinstance(node, cst.Call) or found is None or called_name(node) != found.group(1) or function is None:
            continue
        surplus = int(found.group(3)) - int(found.group(2))
        named = [item.name.value for item in function.function.params.kwonly_params]
        plain = [arg for arg in node.args if arg.keyword is None]
        if any(arg.star for arg in node.args) or len(named) != surplus or len(plain) < surplus:
            continue
        if len(plain) != len(node.args):
            continue
        tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        last = [arg.with_changes(keyword=cst.Name(name), equal=tight) for arg, name in zip(plain[-surplus:], named)]
        new = node.with_changes(args=[*plain[:-surplus], *last])
        place = f"{function.tree.path}:{function.tree.range(function.function.name).start.line}"
        sentence = f"{{where}} passes {', '.join(named)} by position, but `{found.group(1)}` ({place}) takes it by name"
        return replacing(case, site, "keyword-only", node, new, sentence)
    return None


@extracts("TypeError", rank=39)
def without_object(case: Case, site: Site) -> Facts | None:
    """`mistake` is `class-call`: a method called on the class, which can be made without arguments."""
    found = _NO_SELF.search(case.raised.message)
    for node in site.nodes(cst.Call) if found is not None else ():
        if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute) or found is None:
            continue
        name = dotted_name(node.func.value) or ""
        owner = app_class(case, name.split(".")[-1]) if node.func.attr.value == found.group(1) else None
        if owner is None or not _made_without_arguments(*owner):
            continue
        sentence = f"{{where}} calls the method `{found.group(1)}` on the class `{name}` instead of an object"
        return replacing(case, site, "class-call", node.func.value, cst.Call(node.func.value), sentence)
    return None


def _made_without_arguments(tree: Tree, definition: cst.ClassDef) -> bool:
    """Whether the class takes no arguments, as far as it says itself: it has no bases and its `__init__` needs none."""
    own = [item for item in tree.all(cst.FunctionDef, definition.body) if item.name.value == "__init__"]
    needed = [item for item in parameters(own[0])[1:] if item.default is None] if own else []
    return not definition.bases and not definition.decorators and not needed
