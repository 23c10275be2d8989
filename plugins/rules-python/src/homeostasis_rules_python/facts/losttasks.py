"""Tasks that vanish while they wait, because the program keeps no reference to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_STARTS = ("create_task", "ensure_future")
MAX_STARTS = 10
"""Places that start one coroutine and are mended together."""


@dataclass(frozen=True)
class Start:
    """A statement that starts a task and keeps no reference to it."""

    tree: Tree
    line: cst.SimpleStatementLine
    call: cst.Call
    name: str | None
    """The variable that it is assigned to and that nothing reads; None if there is none."""


@extracts("LostTask", rank=20)
def lost_task(case: Case, _site: Site) -> Facts | None:
    """`coroutine` that the task ran, and `starts`: in how many places such a task is started and let go."""
    outer = case.sites[0]
    function = outer.function
    if function is None or function.asynchronous is None:
        return None
    facts = Facts.about(case, outer, function.name)
    name = function.name.value
    found = starts_of(case, name)
    facts.values["coroutine"] = name
    facts.values["starts"] = len(found) if 0 < len(found) <= MAX_STARTS else None
    facts.sentence = (
        f"a task that ran `{name}` was garbage collected while it waited: the event loop holds its tasks weakly, and "
        "nothing else had a reference to it"
    )
    return facts


def starts_of(case: Case, coroutine: str) -> List[Start]:
    """The places in the app that start a task of the coroutine, themselves or for a caller, and let it go."""
    found: List[Start] = []
    wrappers: List[Tuple[str, Start]] = []
    for start in _all_starts(case):
        given = start.call.args[0].value
        if isinstance(given, cst.Call) and called_name(given) == coroutine:
            found.append(start)
        elif isinstance(given, cst.Name):
            function = start.tree.function(start.line)
            if function is not None and given.value in [each.name.value for each in parameters(function)]:
                wrappers.append((function.name.value, start))
    return found or [start for name, start in wrappers if _passes(case, name, coroutine)]


def _all_starts(case: Case) -> Iterator[Start]:
    for word in _STARTS:
        for tree in case.trees(word.encode("ascii")):
            for line in tree.all(cst.SimpleStatementLine):
                start = _start(tree, line, word)
                if start is not None:
                    yield start


def _start(tree: Tree, line: cst.SimpleStatementLine, word: str) -> Start | None:
    small = line.body[0] if len(line.body) == 1 else None
    if not isinstance(small, (cst.Expr, cst.Assign)):
        return None
    call = small.value
    if not isinstance(call, cst.Call) or called_name(call) != word or not call.args or not _is_of_loop(call):
        return None
    if isinstance(small, cst.Expr):
        return Start(tree, line, call, None)
    target, function = small.targets[0].target, tree.function(line)
    if len(small.targets) > 1 or not isinstance(target, cst.Name) or function is None:
        return None
    uses = [each for each in tree.all(cst.Name, function) if each.value == target.value]
    return Start(tree, line, call, target.value) if len(uses) == 1 else None


def _is_of_loop(call: cst.Call) -> bool:
    """Whether it is asyncio's or an event loop's: a task group keeps its tasks."""
    owner = call.func.value if isinstance(call.func, cst.Attribute) else None
    if owner is None:
        return isinstance(call.func, cst.Name)
    if isinstance(owner, cst.Call):
        return called_name(owner) in ("get_running_loop", "get_event_loop")
    return "loop" in (dotted_name(owner) or "").rsplit(".", 1)[-1] or dotted_name(owner) == "asyncio"


def _passes(case: Case, wrapper: str, coroutine: str) -> bool:
    """Whether a call of the coroutine is passed to a function of the app."""
    return any(
        called_name(call) == wrapper
        and any(isinstance(arg.value, cst.Call) and called_name(arg.value) == coroutine for arg in call.args)
        for tree in case.trees(coroutine.encode("utf-8"))
        for call in tree.all(cst.Call)
    )
