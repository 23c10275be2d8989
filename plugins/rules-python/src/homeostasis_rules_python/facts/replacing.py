"""Facts about one expression that is put right where it stands."""

from __future__ import annotations

from typing import Sequence

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.facts.base import Facts


def replacing(
    case: Case,
    site: Site,
    mistake: str,
    target: cst.BaseExpression,
    replacement: cst.BaseExpression,
    sentence: str,
    imports: Sequence[str] = (),
) -> Facts | None:
    """Facts whose `target` is to be replaced by `replacement`.

    Args:
        case: the crash.
        site: its frame.
        mistake: what rules ask for as `extraction.mistake`.
        target: the expression that is wrong.
        replacement: a new node, made of nodes of the app and constants only.
        sentence: the cause; `{where}` is the function.
        imports: what the replacement needs, as `module` or `module:name`.

    Returns:
        The facts; None if the module uses a name of the imports for something else.
    """
    wanted = [NewImport.parse(text) for text in imports]
    if any(conflicts(site.tree, each) for each in wanted):
        return None
    facts = Facts.about(case, site, target)
    facts.say("target", target)
    facts.say("replacement", replacement)
    facts.values.update(mistake=mistake, imports=list(imports))
    facts.sentence = sentence.replace("{where}", facts.where)
    return facts


def call_of(function: str, *given: cst.BaseExpression) -> cst.Call:
    """`function(given, ...)`; parentheses that only held an argument are left out."""
    return cst.Call(cst.parse_expression(function), [cst.Arg(bare(each)) for each in given])


def method_of(owner: cst.BaseExpression, method: str, *given: cst.BaseExpression) -> cst.Call:
    """`owner.method(given, ...)`, with parentheses around an owner that needs them."""
    simple = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.SimpleString, cst.FormattedString)
    if not isinstance(owner, simple) and not owner.lpar:
        owner = owner.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.Call(cst.Attribute(owner, cst.Name(method)), [cst.Arg(each) for each in given])


def bare(node: cst.BaseExpression) -> cst.BaseExpression:
    """The expression without parentheses of its own, where it can do without."""
    keeps = isinstance(node, (cst.Tuple, cst.GeneratorExp, cst.Yield, cst.NamedExpr))
    return node if keeps or len(node.lpar) != 1 else node.with_changes(lpar=[], rpar=[])
