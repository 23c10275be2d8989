"""Where a value comes from: followed backwards through assignments, loops and the callers in the traceback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Literal, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.recorded import sent_by_client
from homeostasis_rules_python.code.scope import Binding, binding, parameters
from homeostasis_rules_python.code.tree import called_name, dotted_name, literal_of
from homeostasis_rules_python.code.web import (
    REQUEST_PLACES,
    Place,
    answers_requests,
    bracketed,
    framework_of,
    parameter_place,
)

Kind = Literal["client", "stored", "environment", "literal", "unknown"]
MAX_STEPS = 40
"""Steps that are followed back before the origin counts as unknown."""

_PASS_THROUGH = frozenset(
    ("int", "float", "str", "bool", "list", "tuple", "dict", "set", "sorted", "reversed", "enumerate", "zip", "abs",
     "round", "min", "max", "loads", "Decimal", "UUID", "iter", "next", "sum", "len", "unquote", "fromisoformat",
     "DictReader", "reader", "StringIO", "BytesIO", "TextIOWrapper", "map", "filter", "islice", "copy", "deepcopy",
     "join", "Path", "PurePath", "normpath", "abspath", "realpath", "basename", "expanduser", "secure_filename",
     "unquote_plus", "parse_qs", "parse_qsl", "b64decode", "urlsafe_b64decode", "fromhex", "unhexlify",
     "unescape", "literal_eval")
)  # fmt: skip
"""Functions whose result belongs to whoever gave the argument."""
_CONTAINER = re.compile(r"^[A-Z]\w{0,60}(?:Dict|Mapping|List)$")
"""Classes that hold what they are made of: `MultiDict(request.args)`."""


@dataclass(frozen=True)
class Origin:
    """Who gave a value."""

    kind: Kind
    place: Place | None = None
    trail: Tuple[str, ...] = ()
    entry: Site | None = None

    @property
    def from_client(self) -> bool:
        """Whether the client sent it."""
        return self.kind == "client"


UNKNOWN = Origin("unknown")


def origin(case: Case, site: Site, node: cst.CSTNode | None, refused: str | None = None) -> Origin:
    """The origin of an expression, from the code; where the code does not tell, from the recorded request.

    Args:
        case: the crash.
        site: where the expression stands.
        node: the expression.
        refused: its value, where the exception tells.
    """
    found = _Tracer(case).trace(site, node, ())
    if node is not None and (found.kind == "unknown" or (found.kind == "stored" and refused is not None)):
        # That a field of that name was sent with the very value that was refused is told even of what seems stored.
        place = sent_by_client(case, site, node, refused, named_only=found.kind == "stored")
        if place is not None:
            trail = (*found.trail, f"the request holds the same value in its {place}")
            return Origin("client", place, trail)
    return found


class _Tracer:
    def __init__(self, case: Case) -> None:
        self.case = case
        self.steps = 0
        self.calls: Dict[cst.FunctionDef, cst.Call] = {}
        """Functions whose result is followed, and the call: their parameters are not those of a frame."""

    def trace(self, site: Site, node: cst.CSTNode | None, trail: Tuple[str, ...]) -> Origin:
        self.steps += 1
        if node is None or self.steps > MAX_STEPS:
            return Origin("unknown", trail=trail)
        if literal_of(node)[0]:
            return Origin("literal", trail=trail)
        place = request_place(node)
        if place is not None:
            return Origin("client", place, (*trail, f"`{site.tree.code(node)}` is what the client sent"), site)
        if isinstance(node, cst.Name):
            return self._name(site, node, trail)
        if isinstance(node, cst.Await):
            return self.trace(site, node.expression, trail)
        if isinstance(node, (cst.Subscript, cst.Attribute)):
            return self._part(site, node, trail)
        if isinstance(node, cst.Call):
            return self._call(site, node, trail)
        return self._any(site, list(_operands(node)), trail)

    def _any(self, site: Site, nodes: List[cst.BaseExpression], trail: Tuple[str, ...]) -> Origin:
        found = [self.trace(site, node, trail) for node in nodes]
        for kind in ("client", "environment", "stored", "unknown", "literal"):
            for each in found:
                if each.kind == kind:
                    return each
        return Origin("unknown", trail=trail)

    def _part(self, site: Site, node: cst.Subscript | cst.Attribute, trail: Tuple[str, ...]) -> Origin:
        dotted = dotted_name(node)
        if dotted in ("os.environ", "environ"):
            return Origin("environment", trail=trail)
        if dotted is not None and dotted.split(".")[0] in ("self", "cls"):
            return Origin("stored", trail=(*trail, f"`{dotted}` belongs to the object"))
        whole = self.trace(site, node.value, trail)
        if whole.kind == "client" and whole.place == "request":
            return Origin("unknown", trail=trail)
        return whole

    def _call(self, site: Site, node: cst.Call, trail: Tuple[str, ...]) -> Origin:
        if dotted_name(node.func) in ("os.getenv", "os.environ.get", "getenv"):
            return Origin("environment", trail=trail)
        name = called_name(node) or ""
        if name in _PASS_THROUGH or (isinstance(node.func, cst.Name) and _CONTAINER.match(name)):
            return self._any(site, [arg.value for arg in node.args], trail)
        if isinstance(node.func, cst.Attribute):
            owner = self.trace(site, node.func.value, trail)
            if owner.kind == "literal":
                # `"...".format(name)` holds what is put in.
                return self._any(site, [node.func.value, *(arg.value for arg in node.args)], trail)
            if owner.kind != "unknown" and not (owner.kind == "client" and owner.place == "request"):
                return owner
            return Origin("unknown", trail=trail)
        if isinstance(node.func, cst.Name):
            return self._returned(site, node, node.func.value, trail)
        return Origin("unknown", trail=trail)

    def _returned(self, site: Site, call: cst.Call, name: str, trail: Tuple[str, ...]) -> Origin:
        for function in site.tree.all(cst.FunctionDef):
            if function.name.value != name or function in self.calls:
                continue
            values = [item.value for item in site.tree.all(cst.Return, function.body) if item.value is not None]
            self.calls[function] = call
            found = self._any(site, values, (*trail, f"`{name}` returned it"))
            del self.calls[function]
            return found if found.kind in ("client", "stored", "environment") else Origin("unknown", trail=trail)
        return Origin("unknown", trail=trail)

    def _name(self, site: Site, node: cst.Name, trail: Tuple[str, ...]) -> Origin:
        found = binding(site.tree, node.value, node)
        if found.kind in ("assign", "augment", "element", "with") and found.value is not None:
            return self.trace(site, found.value, (*trail, _sentence(site, node.value, found)))
        if found.kind == "parameter":
            return self._parameter(site, node, found, trail)
        if found.kind == "module":
            return Origin("stored", trail=(*trail, f"`{node.value}` is data of the module"))
        if found.kind == "import":
            return Origin("stored", trail=(*trail, f"`{node.value}` is imported"))
        return Origin("unknown", trail=trail)

    def _parameter(self, site: Site, node: cst.Name, found: Binding, trail: Tuple[str, ...]) -> Origin:
        function, parameter = site.tree.function(node), found.node
        if function is None or not isinstance(parameter, cst.Param):
            return Origin("unknown", trail=trail)
        if function in self.calls:
            given = argument_for(self.calls[function], function, parameter)
            return self.trace(site, given, trail)
        framework = framework_of(self.case, site)
        if framework is not None and answers_requests(self.case, site.tree, function):
            place = parameter_place(site, function, parameter, framework)
            if place is None or (place == "path" and not self._in_route(parameter.name.value)):
                return Origin("unknown", trail=trail)
            sentence = f"`{node.value}` of `{function.name.value}` comes from the request's {place}"
            return Origin("client", place, (*trail, sentence), site)
        caller = self.case.caller(site) if function is site.function else None
        given = passed_argument(caller, function, parameter) if caller is not None else None
        if caller is None or given is None:
            return Origin("unknown", trail=trail)
        callee = caller.function.name.value if caller.function is not None else "the module"
        sentence = f"`{callee}` passes `{caller.tree.code(given)}` as `{parameter.name.value}`"
        return self.trace(caller, given, (*trail, sentence))

    def _in_route(self, name: str) -> bool:
        """Whether the recorded route has a parameter of that name; a decorator of the app may give others."""
        request = self.case.event.request
        return request is None or request.route is None or name in bracketed(request.route)


def _sentence(site: Site, name: str, found: Binding) -> str:
    word = "is an item of" if found.kind == "element" else "is"
    return f"`{name}` {word} `{site.tree.code(found.value)[:100]}`" if found.value is not None else ""


def request_place(node: cst.CSTNode) -> Place | None:
    """Which part of the request `request.args`, `request.get_json()` and the like are."""
    if isinstance(node, cst.Call):
        node = node.func
    if not isinstance(node, cst.Attribute) or node.attr.value not in REQUEST_PLACES:
        return None
    owner = (dotted_name(node.value) or "").split(".")[-1]
    return REQUEST_PLACES[node.attr.value] if owner in ("request", "req") else None


def passed_argument(caller: Site, function: cst.FunctionDef, parameter: cst.Param) -> cst.BaseExpression | None:
    """What the call at the caller's frame passes for a parameter of `function`."""
    calls = [node for node in caller.nodes(cst.Call) if isinstance(node, cst.Call)]
    names = (function.name.value, "__init__") if function.name.value != "__init__" else ("__init__",)
    call = next((item for item in calls if called_name(item) in names), None)
    if call is None and function.name.value == "__init__" and calls:
        call = calls[0]
    return argument_for(call, function, parameter) if call is not None else None


def argument_for(call: cst.Call, function: cst.FunctionDef, parameter: cst.Param) -> cst.BaseExpression | None:
    """What a call of `function` passes for a parameter, or its default; None if it is not given plainly."""
    if any(arg.star for arg in call.args):
        return None
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == parameter.name.value:
            return arg.value
    named = parameters(function)
    if isinstance(call.func, cst.Attribute) and named and named[0].name.value in ("self", "cls"):
        named = named[1:]
    position = next((i for i, item in enumerate(named) if item.name.value == parameter.name.value), None)
    plain = [arg.value for arg in call.args if arg.keyword is None]
    if position is None or parameter in function.params.kwonly_params:
        return None
    return plain[position] if position < len(plain) else parameter.default


def _operands(node: cst.CSTNode) -> List[cst.BaseExpression]:
    if isinstance(node, (cst.ListComp, cst.SetComp, cst.GeneratorExp)):
        return [node.elt]
    if isinstance(node, cst.DictComp):
        return [node.key, node.value]
    if isinstance(node, cst.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, cst.FormattedString):
        return [part.expression for part in node.parts if isinstance(part, cst.FormattedStringExpression)]
    found = []
    for child in node.children:
        if isinstance(child, cst.BaseExpression):
            found.append(child)
        elif isinstance(child, (cst.Element, cst.DictElement, cst.Arg)):
            found.append(child.value)
    return found


def asked_by_client(case: Case, site: Site, node: cst.CSTNode) -> Tuple[Origin, cst.BaseExpression | None]:
    """Whether a value was looked up by something that the client sent: `find(order_id)`, `rows.get(key).items`.

    Follows the value back to the call that found it, through names, attributes and callers.

    Returns:
        The origin of the argument that the client sent, and the argument; an unknown origin and None if there is none.
    """
    for _step in range(MAX_STEPS):
        if isinstance(node, (cst.Attribute, cst.Subscript)):
            node = node.value
        elif isinstance(node, cst.Await):
            node = node.expression
        elif isinstance(node, cst.Call):
            return _client_argument(case, site, node)
        elif isinstance(node, cst.Name):
            found = binding(site.tree, node.value, node)
            function = site.tree.function(node)
            if found.kind == "assign" and found.value is not None:
                node = found.value
            elif found.kind == "parameter" and function is site.function and isinstance(found.node, cst.Param):
                caller = case.caller(site)
                given = (
                    passed_argument(caller, function, found.node)
                    if caller is not None and function is not None
                    else None
                )
                if caller is None or given is None:
                    break
                site, node = caller, given
            else:
                break
        else:
            break
    return UNKNOWN, None


_FETCHING = frozenset(("fetchone", "fetchall", "fetchmany"))


def _executed(site: Site, call: cst.Call) -> cst.Call | None:
    """The last `cursor.execute(...)` before `cursor.fetchall()` in the same function."""
    owner = dotted_name(call.func.value) if isinstance(call.func, cst.Attribute) else None
    function = site.tree.function(call)
    if owner is None or function is None or called_name(call) not in _FETCHING:
        return None
    start = site.tree.range(call).start
    before = [
        other
        for other in site.tree.all(cst.Call, function.body)
        if dotted_name(other.func) == f"{owner}.execute" and site.tree.range(other).start.line <= start.line
    ]
    return before[-1] if before else None


def _client_argument(case: Case, site: Site, call: cst.Call) -> Tuple[Origin, cst.BaseExpression | None]:
    arguments = [arg.value for arg in (_executed(site, call) or call).args]
    inner = call.func.value if isinstance(call.func, cst.Attribute) else None
    # `query(...).filter(User.id == user_id).first()`: what was asked stands in the calls before.
    while isinstance(inner, (cst.Call, cst.Attribute)):
        if isinstance(inner, cst.Call):
            arguments.extend(arg.value for arg in inner.args)
            inner = inner.func
        else:
            inner = inner.value
    for value in arguments:
        asked = value.comparisons[0].comparator if isinstance(value, cst.Comparison) else value
        found = origin(case, site, asked)
        if found.from_client:
            return found, asked
    return UNKNOWN, None
