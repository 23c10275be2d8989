"""What the code base itself declares: defaults for the same key, fields, documented settings, checks for None."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.documented import documented
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of

MAX_ENV_BYTES = 100_000
_ENV_FILES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")


@dataclass(frozen=True)
class Declared:
    """A value that the code base declares, as source text, and where."""

    text: str
    evidence: str
    weight: float


def default_for_key(case: Case, site: Site, key: str) -> Declared | None:
    """The default that the code base uses for a key: with `.get`, else as a field of a class; None if it has none."""
    uses: Counter[str] = Counter()
    places: dict[str, str] = {}
    fields: list[Declared] = []
    for tree in case.trees(key.encode("utf-8", "replace")):
        for call in tree.all(cst.Call):
            value = _defaulted(call, key)
            if value is not None and _usable(tree, site, value):
                text = tree.code(value)
                uses[text] += 1
                places.setdefault(text, f"{tree.path}:{tree.range(call).start.line}")
        fields.extend(_fields(tree, key))
        fields.extend(_declared(tree, key))
    if uses:
        text, count = uses.most_common(1)[0]
        times = "once" if count == 1 else f"{count} times"
        return Declared(
            text, f"the code base uses {text} for a missing {key!r} {times}, such as in {places[text]}", 1.0
        )
    return fields[0] if fields else None


def _defaulted(call: cst.Call, key: str) -> cst.BaseExpression | None:
    if called_name(call) not in ("get", "getenv", "pop", "setdefault") or not isinstance(
        call.func, (cst.Attribute, cst.Name)
    ):
        return None
    if literal_of(argument(call, 0, "key")) != (True, key):
        return None
    return argument(call, 1, "default")


def _usable(tree: Tree, site: Site, value: cst.BaseExpression) -> bool:
    known, literal = literal_of(value)
    if known:
        return literal is not None
    if isinstance(value, (cst.List, cst.Tuple)):
        return not value.elements
    if isinstance(value, cst.Dict):
        return not value.elements
    return isinstance(value, cst.Name) and value.value.isupper() and tree.path == site.path


def _fields(tree: Tree, key: str) -> Iterator[Declared]:
    for definition in tree.all(cst.ClassDef):
        if not isinstance(definition.body, cst.IndentedBlock):
            continue
        for line in definition.body.body:
            for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
                if not isinstance(small, cst.AnnAssign) or dotted_name(small.target) != key or small.value is None:
                    continue
                value = _field_default(small.value)
                if literal_of(value)[1] is not None and value is not None:
                    text = tree.code(value)
                    evidence = f"`{definition.name.value}` in {tree.path} declares {text} for {key!r}"
                    yield Declared(text, evidence, 0.85)


def _field_default(value: cst.BaseExpression) -> cst.BaseExpression | None:
    """The default of `Field(5)`, `Field(default=5)` and `field(default=5)`, or the value itself."""
    if not isinstance(value, cst.Call):
        return value
    if called_name(value) not in ("Field", "field"):
        return None
    return argument(value, 0 if called_name(value) == "Field" else 99, "default")


def _declared(tree: Tree, key: str) -> Iterator[Declared]:
    """Defaults of settings: `class Config: KEY = 1`, `DEFAULTS = {"KEY": 1}` and `from_mapping(KEY=1)`."""
    for assignment in tree.all(cst.Assign) if key.isupper() else ():
        owner = tree.enclosing(assignment, (cst.ClassDef, cst.FunctionDef))
        named = isinstance(owner, cst.ClassDef) and dotted_name(assignment.targets[0].target) == key
        if named and isinstance(owner, cst.ClassDef) and _is_plain(assignment.value):
            text = tree.code(assignment.value)
            yield Declared(text, f"`{owner.name.value}` in {tree.path} declares {text} for {key!r}", 0.9)
    for assignment in tree.all(cst.Assign):
        name = dotted_name(assignment.targets[0].target) or ""
        if "default" in name.lower() and isinstance(assignment.value, cst.Dict):
            for item in assignment.value.elements:
                if isinstance(item, cst.DictElement) and literal_of(item.key)[1] == key and _is_plain(item.value):
                    text = tree.code(item.value)
                    yield Declared(text, f"`{name}` in {tree.path} holds {text} for {key!r}", 0.95)
    for call in tree.all(cst.Call):
        if called_name(call) == "from_mapping":
            value = next((arg.value for arg in call.args if arg.keyword is not None and arg.keyword.value == key), None)
            if value is not None and _is_plain(value):
                text = tree.code(value)
                yield Declared(text, f"{tree.path}:{tree.range(call).start.line} sets {key!r} to {text}", 0.9)


def _is_plain(node: cst.BaseExpression) -> bool:
    return literal_of(node)[1] is not None


def environment_default(case: Case, site: Site, name: str) -> Declared | None:
    """The value that the project documents for a variable: in code, `.env.example`, README, docs or compose files."""
    found = default_for_key(case, site, name)
    if found is not None:
        return found
    for file in _ENV_FILES:
        path = case.source.root / file
        if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_ENV_BYTES:
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            variable, equals, value = line.strip().partition("=")
            if equals and variable.replace("export ", "").strip() == name and value.strip():
                plain = value.strip().strip("'\"")
                return Declared(repr(plain), f"{file} documents {name}={plain}", 0.9)
    found_in_text = documented(case.source, name)
    return None if found_in_text is None else Declared(repr(found_in_text[0]), found_in_text[1], 0.85)


def none_convention(case: Case, tail: str, *, itself: bool = False) -> Tuple[str, str, str] | None:
    """What the code base does elsewhere when `<something>.tail` (or a variable `tail`) is None.

    With `itself`, a value must stand for what is missing, not for the result of something that is done with it.

    Returns `("continue", "", evidence)`, `("return", text, evidence)` or `("value", text, evidence)`; None if nothing.
    """
    for tree in case.trees(tail.encode()):
        for conditional in tree.all(cst.If):
            if _tests_none(conditional.test, tail) and conditional.orelse is None:
                first = _only_statement(conditional)
                where = f"{tree.path}:{tree.range(conditional).start.line}"
                if isinstance(first, cst.Continue):
                    return "continue", "", f"the code base skips items without `{tail}`, see {where}"
                if isinstance(first, cst.Return) and literal_of(first.value)[0] and first.value is not None:
                    text = tree.code(first.value)
                    return "return", text, f"the code base returns {text} without `{tail}`, see {where}"
        for choice in tree.all(cst.IfExp):
            stands = _ends_with(choice.body, tail) or not itself
            if _tests_some(choice.test, tail) and literal_of(choice.orelse)[0] and stands:
                text = tree.code(choice.orelse)
                where = f"{tree.path}:{tree.range(choice).start.line}"
                return "value", text, f"the code base uses {text} where `{tail}` is missing, see {where}"
        for either in tree.all(cst.BooleanOperation) if itself else ():
            if _ends_with(either.left, tail) and isinstance(either.operator, cst.Or) and literal_of(either.right)[0]:
                text = tree.code(either.right)
                where = f"{tree.path}:{tree.range(either).start.line}"
                return "value", text, f"the code base uses {text} where `{tail}` is missing, see {where}"
    return None


def _only_statement(conditional: cst.If) -> cst.BaseSmallStatement | None:
    body = conditional.body.body
    if len(body) != 1:
        return None
    first = body[0]
    if isinstance(first, cst.SimpleStatementLine):
        return first.body[0] if len(first.body) == 1 else None
    return first if isinstance(first, cst.BaseSmallStatement) else None


def _ends_with(node: cst.BaseExpression, tail: str) -> bool:
    return (dotted_name(node) or "").split(".")[-1] == tail


def _tests_none(test: cst.BaseExpression, tail: str) -> bool:
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return _ends_with(test.expression, tail)
    return _compares(test, tail, cst.Is)


def _tests_some(test: cst.BaseExpression, tail: str) -> bool:
    return _ends_with(test, tail) or _compares(test, tail, cst.IsNot)


def _compares(test: cst.BaseExpression, tail: str, operator: type[cst.BaseCompOp]) -> bool:
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return False
    right = test.comparisons[0]
    is_none = isinstance(right.comparator, cst.Name) and right.comparator.value == "None"
    return isinstance(right.operator, operator) and is_none and _ends_with(test.left, tail)
