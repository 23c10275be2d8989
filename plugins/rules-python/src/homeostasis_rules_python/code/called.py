"""A function of the app that a library, a thread or a script called wrongly, of which no frame can be edited."""

from __future__ import annotations

import re
from typing import Iterator, List

import libcst as cst

from homeostasis.models import Frame, Span
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.dropped import dropped_result
from homeostasis_rules_python.code.known import Function, functions_named
from homeostasis_rules_python.code.protocols import refused
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.code.unreturned import unreturned

_MISMATCH = re.compile(
    r"^(?:[\w.<>]{1,200}?\.)??(?:(?P<owner>\w{1,200})\.)?(?P<name>\w{1,200})\(\) "
    r"(?:takes (?:from \d+ to )?\d+ positional|missing \d+ required)"
)
_NO_TEXT = re.compile(
    r"^(__(?:str|repr|format|bytes|bool)__) (?:returned non-|should return |must return ).{1,80}NoneType"
)


def called_site(case: Case) -> Site | None:
    """The definition that the message names, if the call itself stands in no file that may be edited.

    What does not fit the parameters is raised in the frame of the caller; and a special method that returned None or
    something else that it must not, in the frame of the operation. So the function that is to blame has no frame of its
    own. That a function forgot to return is seen where its None is used.
    """
    forgetful = unreturned(case)
    if forgetful is not None:
        tree, function, line = forgetful
        return definition_site(case, tree, function, tree.range(line).start.line)
    if case.raised.type != "TypeError":
        return None
    answer = refused(case)
    if answer is not None:
        tree, function, returned = answer
        return definition_site(case, tree, function, tree.range(returned).start.line)
    mismatch, no_text = _MISMATCH.match(case.raised.message), _NO_TEXT.match(case.raised.message)
    if no_text is not None:
        return _forgetful(case, no_text.group(1))
    called_here = bool(case.sites) and case.sites[-1].index == len(case.raised.frames) - 1
    if mismatch is None or called_here:
        return None
    found = _named(case, mismatch["name"], mismatch["owner"])
    return definition_site(case, *found[0]) if len(found) == 1 else None


def definition_site(case: Case, tree: Tree, function: cst.FunctionDef, line: int | None = None) -> Site:
    """A site at a function's name, or at a line of it, as if it were the innermost frame."""
    span = Span(line=line or tree.range(function.name).start.line)
    frame = Frame(
        path=str(case.source.root / tree.path),
        module=tree.path[: -len(".py")].replace("/", "."),
        function=function.name.value,
        span=span,
        in_app=True,
    )
    return Site(len(case.raised.frames), frame, tree.path, tree, span, function, {})


def owner_of(tree: Tree, function: cst.FunctionDef) -> str | None:
    """The class whose method a function is."""
    around = tree.enclosing(function, (cst.ClassDef, cst.FunctionDef))
    return around.name.value if isinstance(around, cst.ClassDef) else None


def _named(case: Case, name: str, owner: str | None) -> List[Function]:
    found = list(functions_named(case, name))
    if owner is not None and owner != "<locals>":
        found = [(tree, function) for tree, function in found if owner_of(tree, function) == owner]
    # From Python 3.10 on, the message names the class of a method: without one, a plain function is meant.
    plain = [(tree, function) for tree, function in found if owner_of(tree, function) is None]
    return plain if owner is None and len(plain) == 1 else found


def _forgetful(case: Case, name: str) -> Site | None:
    """The one method of that name which returns what another function made and dropped."""
    found = list(_dropping(case, name))
    return found[0] if len(found) == 1 else None


def _dropping(case: Case, name: str) -> Iterator[Site]:
    for tree, function in _named(case, name, None):
        for line in tree.all(cst.Return, function.body):
            if tree.function(line) is not function or line.value is None:
                continue
            site = definition_site(case, tree, function, tree.range(line).start.line)
            if dropped_result(case, site, line.value) is not None:
                yield site
