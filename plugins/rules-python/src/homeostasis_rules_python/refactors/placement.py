"""Where a request is refused: in the failing function if it can, else in the handler that let the value in."""

from __future__ import annotations

import builtins
import keyword
from dataclasses import dataclass, replace
from itertools import islice
from typing import Callable, Iterator, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.case import Site
from homeostasis_rules_python.code.edit import Edits, can_insert_before, expression, statements, wrapped_in_try
from homeostasis_rules_python.code.errorstyle import Answer, answers, client_status
from homeostasis_rules_python.code.express import Expressed, express, express_before
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.places import Place, before_loops, hoistable, place_before
from homeostasis_rules_python.code.scope import bindings_in
from homeostasis_rules_python.code.tree import Comprehension, Tree, called_name
from homeostasis_rules_python.code.web import handler
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change

MAX_CHANGES = 3


@dataclass(frozen=True)
class Guard:
    """When to refuse, and with what."""

    parts: Tuple[cst.BaseExpression, ...]
    """Expressions of the failing code that the test is about."""
    test: Callable[..., str]
    """Makes the condition from the texts of `parts`; it is true when the request is at fault."""
    exception: str | None
    """What the failing code raises, for places where the test cannot be said.

    None where an `except` would hide mistakes of the app as well: then only a guard that can be said will do.
    """
    status: int
    message: str
    summary: str
    prefer_try: bool = False
    failing: cst.CSTNode | None = None
    """What goes into a `try`, if it is not the failing node."""
    subject: str = "value"
    """What the failing value is called, should it need a name."""
    imports: Tuple[NewImport, ...] = ()
    """What `exception` needs."""
    sayable: bool = True
    """Whether the condition alone tells, so that it may stand in the caller."""
    narrow: str | None = None
    """What is caught instead of `exception` around the call of a whole function, where the rest may be a mistake."""
    of_all: bool = False
    """Whether the request is at fault however often the code looks: a loop that leaves the parts alone comes after."""


def refusals(facts: Facts, guard: Guard) -> Iterator[Change]:
    """Candidates that answer with a 4xx instead of crashing, the least distorting first."""
    yield from islice(_candidates(facts, guard), MAX_CHANGES)


def _candidates(facts: Facts, guard: Guard) -> Iterator[Change]:
    entry = handler(facts.case)
    if entry is None:
        return
    here = facts.site
    message = str(facts.parameters.get("message", guard.message))
    status = facts.parameters.get("status")
    if not isinstance(status, int) or not 400 <= status < 500:
        status = client_status(facts.case, entry.site, guard.status)
    for site in reversed(facts.case.sites):
        for answer in answers(facts.case, site, site.function, status, message):
            if site is here:
                yield from _at_crash(facts, guard, answer)
            else:
                yield from _at_caller(facts, guard, answer, site)
        if site is entry.site:
            return


def _at_crash(facts: Facts, guard: Guard, answer: Answer) -> Iterator[Change]:
    site = facts.site
    place = place_before(site.tree, facts.node)
    if place is None:
        return
    if guard.of_all:
        place = before_loops(place, guard.parts)
    said = (
        None if guard.prefer_try else _say(guard, [express_before(site, part, place.boundary) for part in guard.parts])
    )
    if said is not None:
        yield _guarded(site, place, said, guard, answer, 1.0)
        return
    node = guard.failing if guard.failing is not None else facts.node
    change = _tried(site, place, node, guard, answer, 1.0 if guard.prefer_try else 0.85)
    if change is not None:
        yield change


def _at_caller(facts: Facts, guard: Guard, answer: Answer, caller: Site) -> Iterator[Change]:
    call = _call_towards(facts, caller)
    place = place_before(caller.tree, call) if call is not None else None
    if call is None or place is None:
        return
    said = _say(guard, [express(facts.case, facts.site, part, caller) for part in guard.parts])
    sometimes = _conditional(facts)
    if said is not None and guard.sayable:
        yield _guarded(caller, place, said, guard, answer, 0.7 if sometimes else 0.95)
    weight = 0.8 if said is None else 0.75 if sometimes else 0.6
    if guard.exception == "KeyError" and not _raises_once(facts, caller):
        key = express(facts.case, facts.site, guard.parts[0], caller)
        if key is not None and not key.loops:
            guard, answer = _only_for(caller, key.text, guard, answer)
    guard = replace(guard, subject="result", exception=guard.narrow or guard.exception)
    change = _tried(caller, place, call, guard, answer, weight, Risk.MEDIUM)
    if change is not None:
        yield change


def _raises_once(facts: Facts, caller: Site) -> bool:
    """Whether the functions below the caller hold nothing else that could raise the same error."""
    for site in facts.case.sites:
        if site.index <= caller.index or site.function is None:
            continue
        lookups = sum(1 for _ in site.tree.all(cst.Subscript, site.function.body))
        calls = sum(1 for _ in site.tree.all(cst.Call, site.function.body))
        if lookups + calls > 1:
            return False
    return True


def _only_for(caller: Site, key: str, guard: Guard, answer: Answer) -> Tuple[Guard, Answer]:
    """The same for a `try` that lets a KeyError of any other key pass."""
    error = fresh_name(caller, "error")
    own = answer.statement if not answer.statement.startswith("raise ") else f"{answer.statement} from None"
    handling = f"if {error}.args != ({key},):\n        raise\n    {own}"
    return replace(guard, exception=f"KeyError as {error}"), replace(answer, statement=handling)


def _call_towards(facts: Facts, caller: Site) -> cst.CSTNode | None:
    """The call at a caller's frame that led on: by the name of the next function, else the likeliest."""
    calls = [node for node in caller.nodes(cst.Call) if isinstance(node, cst.Call)]
    inner = next((site for site in facts.case.sites if site.index > caller.index), None)
    name = inner.function.name.value if inner is not None and inner.function is not None else None
    return next((call for call in calls if called_name(call) == name), calls[0] if calls else None)


def _say(guard: Guard, parts: list[Expressed | None]) -> str | None:
    loops: list[Tuple[str, str]] = []
    inside: list[str] = []
    outside: list[str] = []
    texts = []
    for part in parts:
        if part is None:
            return None
        texts.append(_operand(part.text))
        loops.extend(loop for loop in part.loops if loop not in loops)
        inside.extend(text for text in part.inside if text not in inside)
        outside.extend(text for text in part.outside if text not in outside)
    test = " and ".join([*inside, guard.test(*texts)])
    if loops:
        test = f"any({test} {' '.join(f'for {name} in {items}' for name, items in loops)})"
    return " and ".join([*outside, test])


def _operand(text: str) -> str:
    """The source with parentheses where it would fall apart as an operand of `not`, `in` or a comparison."""
    node = expression(text)
    loose = (cst.BooleanOperation, cst.IfExp, cst.Comparison, cst.Lambda, cst.NamedExpr, cst.UnaryOperation)
    return f"({text})" if isinstance(node, loose) and not node.lpar else text


def _conditional(facts: Facts) -> bool:
    for ancestor in facts.site.tree.ancestors(facts.node):
        if isinstance(ancestor, cst.FunctionDef):
            return False
        if isinstance(ancestor, (cst.If, cst.Try, cst.IfExp, cst.BooleanOperation)):
            return True
    return False


def _guarded(site: Site, place: Place, test: str, guard: Guard, answer: Answer, weight: float) -> Change:
    edits = Edits(site.tree)
    place.guard(edits, test, answer.statement)
    return _change(edits, guard, answer, weight, Risk.LOW)


def _tried(
    site: Site, place: Place, node: cst.CSTNode, guard: Guard, answer: Answer, weight: float, risk: Risk = Risk.LOW
) -> Change | None:
    """`try` around what fails and nothing else: the statement where it is all of it, else a new one before."""
    tree, exception = site.tree, guard.exception
    if exception is None:
        return None
    awaited = tree.parent(node)
    node = awaited if isinstance(awaited, cst.Await) else node
    handling = f"{answer.statement} from None" if answer.statement.startswith("raise ") else answer.statement
    edits = Edits(tree)
    edits.add_imports(guard.imports)
    if _is_all_of(node, place):
        edits.wrap(place.boundary, lambda now: wrapped_in_try(now, exception, handling))
        return _change(edits, guard, answer, weight, risk)
    whole = hoistable(tree, node, place) if isinstance(node, cst.BaseExpression) else None
    if whole is not None and (whole is node or place.kind != "block" or not _is_simple(place)):
        name = fresh_name(site, guard.subject if whole is node else "result")
        assignment = statements(f"{name} = {_code(tree, whole)}\n")[0]
        if isinstance(assignment, cst.SimpleStatementLine):
            place.put(edits, [wrapped_in_try(assignment, exception, handling)])
            edits.replace(whole, cst.Name(name))
            return _change(edits, guard, answer, weight if whole is node else weight * 0.9, risk)
    if place.kind != "block" or not _is_simple(place):
        return None
    # What else the statement does could raise the same for another reason.
    lone = sum(1 for _ in tree.all(cst.Call, place.boundary)) <= sum(1 for _ in tree.all(cst.Call, node)) + 1
    edits.wrap(place.boundary, lambda now: wrapped_in_try(now, exception, handling))
    return _change(edits, guard, answer, weight if lone else weight * 0.6, risk if lone else Risk.MEDIUM)


def hoisted(facts: Facts, guard: Guard, subject: cst.BaseExpression, name: str = "found") -> Iterator[Change]:
    """A guard on a part of a larger expression, which gets a name of its own first."""
    site = facts.site
    statement = site.tree.statement(subject)
    if not isinstance(statement, cst.SimpleStatementLine) or not can_insert_before(site.tree, statement):
        return
    for ancestor in site.tree.ancestors(subject):
        if isinstance(ancestor, (*Comprehension, cst.Lambda, cst.BooleanOperation, cst.IfExp)):
            return
    scope = site.function.body if site.function is not None else site.tree.module
    if any(True for _ in bindings_in(scope, name)) or handler(facts.case) is None:
        return
    status = client_status(facts.case, site, guard.status)
    for answer in answers(facts.case, site, site.function, status, guard.message):
        if any(conflicts(site.tree, item) for item in answer.imports):
            continue
        edits = Edits(site.tree)
        code = site.tree.code(subject).strip()
        edits.insert_before(statement, statements(f"{name} = {code}\nif {guard.test(name)}:\n    {answer.statement}\n"))
        edits.replace(subject, cst.Name(name))
        edits.add_imports(answer.imports)
        rationale = f"The request is at fault, so it is answered with a 4xx; {answer.evidence}."
        yield Change((edits,), Effect.REFUSE, guard.summary, rationale, 0.9, Risk.LOW, (answer.evidence,))


def _is_simple(place: Place) -> bool:
    return isinstance(place.boundary, cst.SimpleStatementLine)


def _is_all_of(node: cst.CSTNode, place: Place) -> bool:
    """Whether a statement does nothing beside evaluating `node`: binding, returning or dropping its value."""
    statement = place.boundary
    if place.kind != "block" or not isinstance(statement, cst.SimpleStatementLine):
        return False
    small = statement.body[0]
    return node is small or (
        isinstance(small, (cst.Assign, cst.AnnAssign, cst.Return, cst.Expr, cst.AugAssign)) and small.value is node
    )


def _code(tree: Tree, node: cst.BaseExpression) -> str:
    """Source of an expression on its own; one that goes over several lines gets parentheses."""
    text = tree.code(node).strip()
    return f"({text})" if "\n" in text and not node.lpar else text


def fresh_name(site: Site, wanted: str) -> str:
    """A name that the function does not use yet: the wanted one, else one beside it."""
    scope: cst.CSTNode = site.function if site.function is not None else site.tree.module
    used = {item.value for item in site.tree.all(cst.Name, scope)}
    wanted = wanted.lower().replace("-", "_")
    plain = wanted if wanted.isidentifier() and not keyword.iskeyword(wanted) else "value"
    for name in (plain, f"{plain}_value", f"given_{plain}", "parsed", "result"):
        if name not in used and not hasattr(builtins, name):
            return name
    return next(name for number in range(2, len(used) + 9) for name in [f"{plain}_{number}"] if name not in used)


def _change(edits: Edits, guard: Guard, answer: Answer, weight: float, risk: Risk) -> Change:
    if any(conflicts(edits.tree, item) for item in (*answer.imports, *guard.imports)):
        weight = 0.0
    edits.add_imports(answer.imports)
    rationale = f"The request is at fault, so it is answered with a 4xx; {answer.evidence}."
    return Change((edits,), Effect.REFUSE, guard.summary, rationale, weight, risk, (answer.evidence,))
