"""Refactors for sessions and transactions."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.construct import rest_within
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.sessions import leaks, relationship, session_maker, unguarded_commits
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.databases import edits_with, place_of


@register
class RollBackFailedCommit:
    """A commit that leaves the session in a failed transaction."""

    refactor_id = "roll-back-failed-commit"
    needs = ("session",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`try: commit() except: rollback(); raise`, or the rollback in the handlers that are there."""
        by_tree: Dict[Tree, Edits] = {}
        owner = facts.values["session"]
        handled: List[cst.Try] = []
        blocks: List[cst.IndentedBlock] = []
        for tree, statement in unguarded_commits(facts.case, owner):
            edits = by_tree.setdefault(tree, Edits(tree))
            around = tree.enclosing(statement, (cst.Try, cst.FunctionDef))
            if isinstance(around, cst.Try) and around.handlers:
                if around not in handled:
                    handled.append(around)
                    for handler in around.handlers:
                        edits.wrap(handler.body, lambda block: _first(block, f"{owner}.rollback()"))
            else:
                block = tree.parent(statement)
                if isinstance(block, cst.IndentedBlock) and block not in blocks:
                    blocks.append(block)
                    edits.wrap(block, _guarded(*_transaction(tree, block, statement, owner), owner))
        if by_tree:
            where = ", ".join(sorted(tree.path for tree in by_tree))
            evidence = f"`{owner}.commit()` in {where} leaves the transaction open when it fails"
            yield Change.because(
                list(by_tree.values()), Effect.CORRECT, "Roll back a transaction that failed", evidence
            )


def _transaction(tree: Tree, block: cst.IndentedBlock, commit: cst.CSTNode, owner: str) -> Tuple[int, int]:
    """The statements of a block from the first that uses the session to its commit."""
    last = list(block.body).index(commit)  # type: ignore[arg-type]
    uses = [at for at, line in enumerate(block.body[:last]) if any(dotted_name(n) == owner for n in _named(tree, line))]
    return (uses[0] if uses else last), last


def _named(tree: Tree, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield from tree.all(cst.Name, node)
    yield from tree.all(cst.Attribute, node)


def _guarded(first: int, last: int, owner: str) -> Callable[[cst.IndentedBlock], cst.IndentedBlock]:
    text = f"try:\n    pass\nexcept Exception:\n    {owner}.rollback()\n    raise\n"

    def make(block: cst.IndentedBlock) -> cst.IndentedBlock:
        body = list(block.body)
        leading = getattr(body[first], "leading_lines", ())
        inner = [body[first].with_changes(leading_lines=[]), *body[first + 1 : last + 1]]
        made = cst.ensure_type(statements(text)[0], cst.Try)
        made = made.with_changes(body=made.body.with_changes(body=inner), leading_lines=leading)
        return block.with_changes(body=[*body[:first], made, *body[last + 1 :]])

    return make


def _first(block: cst.BaseSuite, text: str) -> cst.BaseSuite:
    return (
        block.with_changes(body=[*statements(f"{text}\n"), *block.body])
        if isinstance(block, cst.IndentedBlock)
        else block
    )


@register
class CloseSessions:
    """Sessions that nobody closes."""

    refactor_id = "close-sessions"
    needs = ("database",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`with Session() as session:` around the statements that use it, in every function that leaks one."""
        by_tree: Dict[Tree, Edits] = {}
        places = []
        for tree, block, at, assign in leaks(facts.case):
            edits = by_tree.setdefault(tree, Edits(tree))
            header = f"{tree.code(assign.value)} as {tree.code(assign.targets[0].target)}"
            edits.wrap(block, _within(at, header))
            places.append(place_of(tree, assign))
        if by_tree:
            evidence = f"what is opened in {', '.join(places[:5])} is never closed"
            yield Change.because(
                list(by_tree.values()), Effect.CORRECT, "Close sessions after use", evidence, risk=Risk.MEDIUM
            )


def _within(at: int, header: str) -> Callable[[cst.IndentedBlock], cst.IndentedBlock]:
    return lambda block: rest_within(block, at, header)


@register
class KeepAfterCommit:
    """Objects that are read after their session's commit, or whose relationship is loaded too late."""

    refactor_id = "keep-after-commit"
    needs = ("database",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`expire_on_commit=False` for the session, or `lazy="selectin"` for the relationship."""
        if facts.values["database"] == "lazy":
            edits = edits_with(relationship(facts.case, facts.values["attribute"]), ("lazy", '"selectin"'))
            evidence = f"`{facts.values['attribute']}` is read after the session was closed"
            summary = f"Load `{facts.values['attribute']}` together with its object"
        else:
            edits = edits_with(session_maker(facts.case), ("expire_on_commit", "False"))
            evidence = "the commit forgets the values of an object that is read afterwards"
            summary = "Keep the values of objects after a commit"
        if edits is not None:
            yield Change.because([edits], Effect.CORRECT, summary, evidence, risk=Risk.MEDIUM)
