"""`Subject`: what a regression test is about, without secrets."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeostasis.models import Command, Frame, Request
from homeostasis.monitoring.redaction import Redactor
from homeostasis.replay import app_of
from homeostasis.source import SourceTree

if TYPE_CHECKING:
    from homeostasis.attempts import Attempt, Observed
    from homeostasis.models import Incident, Patch
    from homeostasis.project import Project

_PLAIN = re.compile(r"[^\w .,:;/{}<>()\[\]@+-]")


@dataclass(frozen=True)
class Subject:
    """What crashed and what the patched app does instead.

    Attributes:
        incident_id: of the incident.
        error: name of the exception's class.
        place: file and function of the crash; empty if not known.
        rule_id: of the rule whose patch it is.
        app: import path of the app.
        request, command, frame: what is done again; one of them is set.
        kind: how the function of `frame` is called: `plain`, `coroutine` or `generator`.
        status: of the patched app's answer, or of the patched command.
        returned: what the patched function returns, as a literal.
        redactor: knows the project's secrets.
    """

    incident_id: str
    error: str
    place: str
    rule_id: str
    app: str | None
    request: Request | None
    command: Command | None
    frame: Frame | None
    kind: str
    status: int | None
    returned: str | None
    redactor: Redactor

    @classmethod
    def of(cls, attempt: Attempt, after: Observed, incident: Incident, patch: Patch, project: Project) -> Subject:
        """The subject of one way to reproduce a crash.

        Args:
            attempt: that way.
            after: what it showed on the candidate.
            incident: what crashed.
            patch: the candidate.
            project: the app's.
        """
        event = incident.event
        crash = event.crash_frame
        relative = SourceTree(project).relative(crash.path) if crash else None
        return cls(
            incident_id=plain(incident.id),
            error=plain(event.raised.type.rsplit(".", 1)[-1]),
            place=plain(f"{relative}, {crash.qualname or crash.function}") if crash and relative else "",
            rule_id=plain(patch.rule_id),
            app=app_of(project, incident),
            request=event.request if attempt.command is None and attempt.frame is None else None,
            command=attempt.command,
            frame=attempt.frame,
            kind=_kind(attempt.frame, project) if attempt.frame else "plain",
            status=after.status,
            returned=after.returned,
            redactor=Redactor(project.config.monitoring.redact_names),
        )


def plain(text: str) -> str:
    """A text for a comment or docstring: characters that could end either are left out."""
    return _PLAIN.sub("", text)[:120]


def _kind(frame: Frame, project: Project) -> str:
    source = SourceTree(project)
    path = source.relative(frame.path)
    try:
        tree = ast.parse(source.read(path)) if path else ast.Module(body=[], type_ignores=[])
    except (SyntaxError, ValueError, OSError):
        return "plain"
    for node in tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name == frame.function:
            return "coroutine"
        if isinstance(node, ast.FunctionDef) and node.name == frame.function:
            return "generator" if any(_yields(child) for child in node.body) else "plain"
    return "plain"


def _yields(node: Any) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
        return False
    return isinstance(node, (ast.Yield, ast.YieldFrom)) or any(_yields(child) for child in ast.iter_child_nodes(node))
