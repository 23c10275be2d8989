"""No path at all, where the function says what it does without a file."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.edit import can_insert_before
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_NO_PATH = re.compile(r"os\.PathLike.{0,60}, not '?NoneType'?$")


@extracts("TypeError", rank=31)
def no_path(case: Case, site: Site) -> Facts | None:
    """Facts about None for a path: `without_file` is what the function returns where there is no file."""
    function = site.function
    if not _NO_PATH.search(case.raised.message) or function is None:
        return None
    for node in site.nodes(cst.Call):
        given = node.args[0].value if isinstance(node, cst.Call) and node.args else None
        if not isinstance(given, cst.Name) or site.type_of(given) not in ("NoneType", None):
            continue
        statement = site.tree.statement(node)
        answer = _without_file(site.tree, function, node, given.value)
        if answer is None or statement is None or not can_insert_before(site.tree, statement):
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(path_name=given.value, without_file=site.tree.code(answer).strip())
        facts.evidence.append(f"{facts.where} returns `{facts.values['without_file']}` when the file does not exist")
        facts.sentence = f"{facts.where} takes `{given.value}` for a path, which is None"
        return facts
    return None


def _without_file(tree: Tree, function: cst.FunctionDef, call: cst.CSTNode, name: str) -> cst.Return | None:
    """The `return` of `if not path.exists(): return x`, or of `except FileNotFoundError: return x`, for this path."""
    parent = tree.parent(call)
    target = parent.targets[0].target if isinstance(parent, cst.Assign) else None
    names = {name, target.value} if isinstance(target, cst.Name) else {name}
    for choice in tree.all(cst.If, function.body):
        if tree.function(choice) is function and _asks_for_absence(choice.test, names):
            return _returns(choice.body)
    for around in tree.ancestors(call):
        for handler in around.handlers if isinstance(around, cst.Try) else ():
            if dotted_name(handler.type) == "FileNotFoundError":
                return _returns(handler.body)
    return None


def _asks_for_absence(test: cst.BaseExpression, names: set[str]) -> bool:
    """`not path.exists()`, `not os.path.isfile(path)`."""
    asked = test.expression if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not) else None
    if not isinstance(asked, cst.Call) or called_name(asked) not in ("exists", "is_file", "isfile"):
        return False
    owner = asked.func.value if isinstance(asked.func, cst.Attribute) else None
    about = asked.args[0].value if asked.args else owner
    return isinstance(about, cst.Name) and about.value in names


def _returns(body: cst.BaseSuite) -> cst.Return | None:
    line = body.body[0] if len(body.body) == 1 else None
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    return small if isinstance(small, cst.Return) else None
