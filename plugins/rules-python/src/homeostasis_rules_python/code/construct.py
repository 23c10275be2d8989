"""Calls that construct what the app works with, arguments added to them, and blocks put around their use."""

from __future__ import annotations

from typing import Iterator, List, Sequence, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.edit import expression
from homeostasis_rules_python.code.tree import Tree, called_name


def constructions(case: Case, *names: str) -> Iterator[Tuple[Tree, cst.Call]]:
    """Calls of the functions or classes in the app, files of the traceback first."""
    for name in names:
        for tree in case.trees(name.encode()):
            for call in tree.all(cst.Call):
                if called_name(call) == name:
                    yield tree, call


def the_construction(case: Case, *names: str) -> Tuple[Tree, cst.Call] | None:
    """The only such call; None if there is none or if several may be meant."""
    found = list(constructions(case, *names))
    own = [item for item in found if case.crash is not None and item[0].path == case.crash.path]
    chosen = own if len(own) == 1 else found
    return chosen[0] if len(chosen) == 1 else None


def has_keyword(call: cst.Call, *names: str) -> bool:
    """Whether a call gives one of the keywords, or unpacks some that are not known."""
    return any(arg.star == "**" or (arg.keyword is not None and arg.keyword.value in names) for arg in call.args)


def with_keywords(call: cst.Call, given: Sequence[Tuple[str, str]]) -> cst.Call:
    """The call with further keyword arguments, laid out as its own are."""
    args: List[cst.Arg] = list(call.args)
    tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    separator: cst.BaseParenthesizableWhitespace = cst.SimpleWhitespace(" ")
    if len(args) > 1 and isinstance(args[0].comma, cst.Comma):
        separator = args[0].comma.whitespace_after
    for name, value in given:
        trailing = args[-1].comma if args else cst.MaybeSentinel.DEFAULT
        if args:
            args[-1] = args[-1].with_changes(comma=cst.Comma(whitespace_after=separator))
        args.append(cst.Arg(expression(value), keyword=cst.Name(name), equal=tight, comma=trailing))
    return call.with_changes(args=args)


def rest_within(block: cst.IndentedBlock, at: int, header: str) -> cst.IndentedBlock:
    """The block with its statement `at` replaced by `with header:` around all that follow."""
    body = list(block.body)
    around = cst.ensure_type(cst.parse_statement(f"with {header}:\n    pass\n"), cst.With)
    inner = cst.IndentedBlock(body=body[at + 1 :])
    lines = getattr(body[at], "leading_lines", ())
    return block.with_changes(body=[*body[:at], around.with_changes(body=inner, leading_lines=lines)])
