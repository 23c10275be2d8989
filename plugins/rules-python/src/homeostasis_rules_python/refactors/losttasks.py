"""The refactor of tasks that nothing refers to."""

from __future__ import annotations

from typing import Dict, Iterator, List, Tuple

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.losttasks import Start, starts_of
from homeostasis_rules_python.refactors.base import Change, register

_KEEPER, _NAMES = "_background_tasks", ("task", "background_task")


@register
class KeepTask:
    """A task that is started and let go."""

    refactor_id = "keep-task"
    needs = ("coroutine", "starts")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A set of the module keeps each task until it is done, as the documentation of asyncio advises."""
        in_file: Dict[str, List[Start]] = {}
        for start in starts_of(facts.case, facts.values["coroutine"]):
            in_file.setdefault(start.tree.path, []).append(start)
        edits = [_kept(starts) for starts in in_file.values()]
        done = [each for each in edits if each is not None]
        if len(done) == len(edits):
            name = facts.values["coroutine"]
            evidence = f"nothing refers to the task of `{name}` but the event loop, which holds it weakly"
            yield Change.because(done, Effect.CORRECT, f"Keep the task of `{name}` until it is done", evidence)


def _kept(starts: List[Start]) -> Edits | None:
    """The changes of one file; None if its names are taken."""
    tree = starts[0].tree
    keeper, is_new = _keeper_of(tree)
    place = _last_import(tree)
    if keeper is None or place is None:
        return None
    edits = Edits(tree)
    if is_new:
        made = cst.ensure_type(statements(f"{keeper} = set()\n")[0], cst.SimpleStatementLine)
        edits.insert_after(place, [made.with_changes(leading_lines=[cst.EmptyLine(indent=False)])])
    for start in starts:
        name = start.name or _free_name(start)
        if name is None:
            return None
        new = cst.ensure_type(statements(f"{name} = None\n")[0], cst.SimpleStatementLine)
        assign = cst.ensure_type(new.body[0], cst.Assign).with_changes(value=start.call)
        kept = statements(f"{keeper}.add({name})\n{name}.add_done_callback({keeper}.discard)\n")
        first = start.line.with_changes(body=[assign if start.name is None else start.line.body[0]])
        edits.replace(start.line, cst.FlattenSentinel([first, *kept]))  # type: ignore[arg-type]
    return edits


def _keeper_of(tree: Tree) -> Tuple[str | None, bool]:
    """The set of the module that keeps tasks already, or a free name; and whether it has to be made."""
    for call in tree.all(cst.Call):
        if called_name(call) == "add_done_callback" and len(call.args) == 1:
            discard = dotted_name(call.args[0].value) or ""
            if discard.count(".") == 1 and discard.endswith(".discard"):
                return discard.split(".")[0], False
    taken = any(each.value == _KEEPER for each in tree.all(cst.Name))
    return (None if taken else _KEEPER), True


def _free_name(start: Start) -> str | None:
    around = start.tree.function(start.line)
    used = {each.value for each in start.tree.all(cst.Name, around or start.tree.module)}
    return next((name for name in _NAMES if name not in used), None)


def _last_import(tree: Tree) -> cst.SimpleStatementLine | None:
    """The last import at the top of the module."""
    found = None
    for line in tree.module.body:
        if isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], (cst.Import, cst.ImportFrom)):
            found = line
        elif found is not None:
            break
    return found
