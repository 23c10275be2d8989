"""Texts that are used as numbers: behind a test for digits, and beside siblings that are converted."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding, target_names
from homeostasis_rules_python.code.tree import Tree, called_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import call_of, replacing

_AS_NUMBER = re.compile(
    r"^(?:'[<>]=?' not supported between instances of '(?:str' and '(?:int|float)|(?:int|float)' and 'str)'"
    r"|unsupported operand type\(s\) for [^:]{1,12}: '(?:str' and '(?:int|float)|(?:int|float)' and 'str)'"
    r"|can only concatenate str \(not \"(?:int|float)\"\) to str"
    r"|(?:list|tuple|string) indices must be integers(?: or slices)?, not '?str'?"
    r"|'str' object cannot be interpreted as an integer|bad operand type for (?:unary|abs\(\)).{1,4}: 'str'"
    r"|must be real number, not str|slice indices must be integers|%[a-z] format: .{1,40} is required, not str)"
)
_TESTS = frozenset(("isdigit", "isdecimal", "isnumeric"))
_CONVERTERS = frozenset(("int", "float", "Decimal", "Fraction"))
MAX_NODES = 5
"""Expressions of the failing line that are looked through."""
_NUMBER = re.compile(r"^\s*[+-]?\d{1,30}(?:\.\d{1,30})?\s*$")


@extracts("TypeError", rank=26)
def tested_digits(case: Case, site: Site) -> Facts | None:
    """`mistake` is `digits`: a text that was tested for digits is used as the number that it says."""
    if not _AS_NUMBER.match(case.raised.message):
        return None
    for node in site.nodes(cst.Subscript, cst.Comparison, cst.BinaryOperation, cst.Call)[:MAX_NODES]:
        for name in site.tree.all(cst.Name, node):
            target = _text(site, name)
            if target is None:
                continue
            code = site.tree.code(target)
            sentence = f"{{where}} uses `{code}`, which it has tested for digits, as a number without converting it"
            facts = replacing(case, site, "digits", target, call_of("int", target), sentence)
            if facts is not None:
                facts.values["doubtful"] = target is name and _uses(site.tree, name) > 1
            return facts
    return None


def _text(site: Site, name: cst.Name) -> cst.Name | None:
    """The tested text itself, or what a copy of it was assigned from."""
    if site.type_of(name) not in (None, "str"):
        return None
    if _is_tested(site.tree, name, name.value):
        return name
    found = binding(site.tree, name.value, name)
    if found.kind == "assign" and isinstance(found.value, cst.Name) and _is_tested(site.tree, name, found.value.value):
        return found.value
    return None


def _is_tested(tree: Tree, at: cst.CSTNode, name: str) -> bool:
    """Whether a place is only reached if the name holds nothing but digits."""
    inner: cst.CSTNode = at
    for outer in tree.ancestors(at):
        if isinstance(outer, (cst.FunctionDef, cst.Lambda)):
            return False
        if isinstance(outer, (cst.If, cst.IfExp)) and outer.body is inner and _tests(outer.test, name):
            return True
        inner = outer
    return False


def _tests(test: cst.BaseExpression, name: str) -> bool:
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        return _tests(test.left, name) or _tests(test.right, name)
    func = test.func if isinstance(test, cst.Call) else None
    if not isinstance(func, cst.Attribute) or func.attr.value not in _TESTS:
        return False
    return isinstance(func.value, cst.Name) and func.value.value == name


def _uses(tree: Tree, name: cst.Name) -> int:
    """How often the tested block reads the name."""
    for block in tree.ancestors(name):
        if isinstance(block, cst.If) and _tests(block.test, name.value):
            return sum(each.value == name.value for each in tree.all(cst.Name, block.body))
    return 1


MAX_FRAMES = 2
"""The failing frame and its caller, whose values are looked at."""


@extracts("TypeError", rank=27)
def unconverted_sibling(case: Case, site: Site) -> Facts | None:
    """`mistake` is `sibling`: all other values of a literal or of neighbouring lines are converted, and one is not."""
    if not _AS_NUMBER.match(case.raised.message):
        return None
    for outer in case.outwards(site, MAX_FRAMES):
        found = [each for each in _candidates(outer) if _is_number(outer, each[1])]
        if len(found) == 1:
            converter, value, times = found[0]
            code = outer.tree.code(value)
            sentence = f"{{where}} converts {times} values with {converter}, and `{code}` beside them not"
            return replacing(case, outer, "sibling", value, call_of(converter, value), sentence)
    return None


def _is_number(site: Site, value: cst.BaseExpression) -> bool:
    """Whether the value is known to be the text of a number."""
    known, text = site.value(value)
    return known and isinstance(text, str) and _NUMBER.match(text) is not None


@extracts("TypeError", rank=27)
def unconverted_part(case: Case, site: Site) -> Facts | None:
    """`mistake` is `part`: of the parts that a text was taken apart into, the others are converted."""
    if not _AS_NUMBER.match(case.raised.message) or site.function is None:
        return None
    for node in site.nodes(cst.Comparison, cst.BinaryOperation, cst.Subscript, cst.Call)[:MAX_NODES]:
        for name in site.tree.all(cst.Name, node):
            converter = _of_the_others(site, name.value) if _is_number(site, name) else None
            if converter is None:
                continue
            found = binding(site.tree, name.value, name)
            copied = found.kind == "assign" and isinstance(found.value, cst.Name)
            target = found.value if copied and found.value is not None else name
            code = site.tree.code(target)
            sentence = (
                f"{{where}} converts the other parts with {converter}, and uses `{code}` as a number without that"
            )
            return replacing(case, site, "part", target, call_of(converter, target), sentence)
    return None


def _of_the_others(site: Site, name: str) -> str | None:
    """The one converter that the function calls on the names which were assigned together with a name."""
    body = site.function.body if site.function is not None else site.tree.module
    beside = {
        each
        for node in site.tree.all(cst.Assign, body)
        for target in node.targets
        if name in target_names(target.target)
        for each in target_names(target.target)
    } - {name}
    found: Dict[str, str] = {}
    for call in site.tree.all(cst.Call, body):
        given = call.args[0].value if len(call.args) == 1 else None
        if isinstance(given, cst.Name) and called_name(call) in _CONVERTERS and isinstance(call.func, cst.Name):
            found[given.value] = call.func.value
    # A part that is converted somewhere is not the one that was forgotten.
    converters = {found[each] for each in beside if each in found} if beside and beside <= set(found) else set()
    return next(iter(converters)) if len(converters) == 1 and name not in found else None


Odd = Tuple[str, cst.BaseExpression, int]
"""The converter of the others, the one value that is not converted, and how many others there are."""


def _candidates(site: Site) -> Iterator[Odd]:
    if site.function is None:
        return
    for group in _groups(site):
        names = [each.func.value for each in group if isinstance(each, cst.Call) and isinstance(each.func, cst.Name)]
        converters = [name for name in names if name in _CONVERTERS]
        plain = [each for each in group if isinstance(each, (cst.Name, cst.Attribute, cst.Subscript))]
        alike = len(converters) >= 2 and len(set(converters)) == 1 and len(converters) == len(group) - 1
        if alike and len(plain) == 1:
            yield converters[0], plain[0], len(converters)


def _groups(site: Site) -> Iterator[List[cst.BaseExpression]]:
    """Values that stand side by side: of a dict, a list, a tuple, a call, or of assignments one after another."""
    tree, body = site.tree, site.function.body if site.function is not None else None
    for mapping in tree.all(cst.Dict, body):
        yield [each.value for each in mapping.elements if isinstance(each, cst.DictElement)]
    for several in tree.all(cst.Tuple, body):
        yield [each.value for each in several.elements]
    for listed in tree.all(cst.List, body):
        yield [each.value for each in listed.elements]
    for call in tree.all(cst.Call, body):
        if called_name(call) not in ("isinstance", "print"):
            yield [arg.value for arg in call.args if not arg.star]
    for block in tree.all(cst.IndentedBlock, body):
        yield from _runs(block)


def _runs(block: cst.IndentedBlock) -> Iterator[List[cst.BaseExpression]]:
    run: List[cst.BaseExpression] = []
    for line in block.body:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        if isinstance(small, cst.Assign):
            run.append(small.value)
            continue
        if len(run) > 2:
            yield run
        run = []
    if len(run) > 2:
        yield run
