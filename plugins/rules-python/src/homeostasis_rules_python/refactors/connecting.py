"""Refactors for servers that are away for a moment: bounded retries with backoff, of what may be done twice only."""

from __future__ import annotations

from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.construct import the_construction, with_keywords
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.imports import NewImport, bound_module_name, conflicts
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.connecting import CLIENTS
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.placement import fresh_name

_RETRIED = """\
for {attempt} in range(5):
    try:
        pass
        break
    except {error}:
        if {attempt} == 4:
            raise
        time.sleep(0.5 * 2**{attempt})
"""


@register
class RetryConnecting:
    """A connection that is refused while the server starts or fails over."""

    refactor_id = "retry-connecting"
    needs = ("error",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Five tries within eight seconds; what the last one raises is raised."""
        tree = facts.site.tree
        line = tree.statement(facts.node)
        if not isinstance(line, cst.SimpleStatementLine) or conflicts(tree, NewImport("time")):
            return
        text = _RETRIED.format(attempt=fresh_name(facts.site, "attempt"), error=facts.values["error"])
        loop = cst.ensure_type(statements(text)[0], cst.For)
        trying = cst.ensure_type(loop.body.body[0], cst.Try)
        tried = trying.body.with_changes(body=[line.with_changes(leading_lines=[]), *trying.body.body[1:]])
        body = loop.body.with_changes(body=[trying.with_changes(body=tried)])
        edits = Edits(tree)
        edits.replace(line, loop.with_changes(body=body, leading_lines=line.leading_lines))
        edits.add_imports([NewImport("time")])
        evidence = "opening a connection changes nothing at the server, so it can be tried again"
        summary = "Try again to connect while the server is away"
        yield Change.because((edits,), Effect.RECONNECT, summary, evidence, risk=Risk.MEDIUM)


@register
class RetryRedis:
    """A client of redis that gives up when its connection was dropped."""

    refactor_id = "retry-redis"
    needs = ("database",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A bounded retry with backoff; only a health check where a command must not be sent twice."""
        found = the_construction(facts.case, *CLIENTS)
        if found is None:
            return
        tree, call = found
        edits = Edits(tree)
        given: List[Tuple[str, str]] = [("health_check_interval", "30")]
        if facts.values["idempotent"]:
            imports = [NewImport("redis.backoff", "ExponentialBackoff"), NewImport("redis.retry", "Retry")]
            module = bound_module_name(tree, "redis")
            if module is None or any(conflicts(tree, each) for each in imports):
                return
            given.insert(0, ("retry", "Retry(ExponentialBackoff(), 3)"))
            given.insert(1, ("retry_on_error", f"[{module}.ConnectionError, {module}.TimeoutError]"))
            edits.add_imports(imports)
            evidence = "all commands of the app can be sent again without another effect"
        else:
            evidence = "a command of the app must not be sent twice, so the connection is only tested before use"
        edits.replace(call, with_keywords(call, given))
        summary = "Reconnect to redis when the connection was dropped"
        yield Change.because((edits,), Effect.RECONNECT, summary, evidence)
