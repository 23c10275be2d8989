"""Refactors for transactions that lost a deadlock, and for readers and writers of sqlite."""

from __future__ import annotations

from typing import Iterator, List

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.locking import opening, transaction_around
from homeostasis_rules_python.refactors.base import Change, register

_AGAIN = """\
for attempt in range(3):
    try:
        pass
        break
    except OperationalError as error:
        if attempt == 2 or "deadlock" not in str(error).lower():
            raise
        time.sleep(0.1 * 2**attempt)
"""


@register
class RetryTransaction:
    """A transaction that the server chose as the victim of a deadlock."""

    refactor_id = "retry-transaction"
    needs = ("transaction",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The whole transaction up to three times; what is no deadlock is raised at once."""
        tree = facts.site.tree
        block = transaction_around(tree, facts.node)
        imports = [NewImport("time"), NewImport("sqlalchemy.exc", "OperationalError")]
        function = tree.function(facts.node)
        taken = {use.value for use in tree.all(cst.Name, function)} if function is not None else {"attempt"}
        if block is None or taken & {"attempt", "error"} or any(conflicts(tree, each) for each in imports):
            return
        loop = cst.ensure_type(statements(_AGAIN)[0], cst.For)
        trying = cst.ensure_type(loop.body.body[0], cst.Try)
        tried: List[cst.CSTNode] = [block.with_changes(leading_lines=[])]
        tried += [] if _returns(block) else list(trying.body.body[1:])
        body = loop.body.with_changes(body=[trying.with_changes(body=trying.body.with_changes(body=tried))])
        edits = Edits(tree)
        edits.replace(block, loop.with_changes(body=body, leading_lines=block.leading_lines))
        edits.add_imports(imports)
        evidence = "the server undid the whole transaction, and the block does nothing outside of it"
        summary = "Repeat the transaction that lost a deadlock"
        yield Change.because((edits,), Effect.RECONNECT, summary, evidence, risk=Risk.MEDIUM)


def _returns(block: cst.With) -> bool:
    last = block.body.body[-1]
    return isinstance(last, cst.SimpleStatementLine) and isinstance(last.body[-1], (cst.Return, cst.Raise))


@register
class WriteAheadLog:
    """A database of sqlite whose readers keep its writers out."""

    refactor_id = "write-ahead-log"
    needs = ("database",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`PRAGMA journal_mode=WAL` where the connection is opened."""
        found = opening(facts.case)
        if found is None:
            return
        tree, line, name = found
        edits = Edits(tree)
        edits.insert_after(line, statements(f'{name}.execute("PRAGMA journal_mode=WAL")\n'))
        evidence = "with a write-ahead log, readers do not keep a writer waiting, nor it them"
        summary = "Let readers and a writer work at once"
        yield Change.because((edits,), Effect.RECONNECT, summary, evidence, risk=Risk.MEDIUM)
