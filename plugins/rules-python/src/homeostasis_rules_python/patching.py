"""From a diagnosis to patches: render its template or run its refactor."""

from __future__ import annotations

import difflib
from typing import Iterator, List

import libcst as cst

from homeostasis.models import Diagnosis, FileEdit, Incident, Patch
from homeostasis.models.patch import content_hash
from homeostasis.rules import Template, TemplateRegistry
from homeostasis.source import SourceTree
from homeostasis_rules_python.analyze import facts_of
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.facts import Facts
from homeostasis_rules_python.refactors import Change, refactor
from homeostasis_rules_python.refactors.weighing import weighed
from homeostasis_rules_python.render import Rendered, render


def patches(
    diagnosis: Diagnosis, incident: Incident, source: SourceTree, templates: TemplateRegistry
) -> Iterator[Patch]:
    """Candidates for a diagnosis.

    None if the source changed, has a shape that the fix does not know, or if the fix belongs to another plugin.

    Raises:
        RuleError: the rule does not fill the parameters of its template.
    """
    facts = facts_of(diagnosis, incident.event, source)
    if facts is None:
        return
    seen = set()
    for change in _changes(diagnosis, facts, templates):
        patch = _patch(change, diagnosis, source)
        if patch is not None and patch.digest not in seen:
            seen.add(patch.digest)
            yield patch


def _changes(diagnosis: Diagnosis, facts: Facts, templates: TemplateRegistry) -> Iterator[Change]:
    if diagnosis.fix.kind == "template":
        template = templates.get(diagnosis.fix.id)
        change = from_template(template, diagnosis, facts) if template is not None else None
        if change is not None:
            yield change
        return
    chosen = refactor(diagnosis.fix.id)
    if chosen is not None and facts.has(chosen.needs):
        facts.parameters = diagnosis.fix.parameters
        yield from weighed(facts, chosen.changes(facts))


def from_template(template: Template, diagnosis: Diagnosis, facts: Facts) -> Change | None:
    """The change that a template makes at the failing node; None where it does not fit."""
    frameworks = template.applicability.frameworks
    if frameworks and facts.values["framework"] not in frameworks:
        return None
    edits = apply_template(template, diagnosis.fix.parameters, facts.site.tree, facts.node)
    if edits is None:
        return None
    return Change(
        edits=(edits,),
        effect=template.effect,
        summary=template.description.rstrip("."),
        rationale=f"{template.description.rstrip('.')}: {diagnosis.summary}.",
        risk=template.risk,
    )


def apply_template(template: Template, parameters: dict[str, object], tree: Tree, node: cst.CSTNode) -> Edits | None:
    """Put a rendered template in the place of a node, or of the statement around it.

    Returns:
        The edits; None if the module uses a name of the template's imports for something else, if the statement cannot
        be replaced, or if more lines change than the template allows.

    Raises:
        RuleError: the parameters do not fit.
    """
    imports = [NewImport.parse(text) for text in template.validation.imports]
    if any(conflicts(tree, item) for item in imports):
        return None
    edits = Edits(tree)
    edits.add_imports(imports)
    if not _place(edits, tree, node, render(template, parameters)):
        return None
    if _affected_lines(tree.module.code, edits.module().code) > template.validation.max_affected_lines:
        return None
    return edits


def _place(edits: Edits, tree: Tree, node: cst.CSTNode, rendered: Rendered) -> bool:
    if isinstance(rendered, cst.BaseExpression):
        if not isinstance(node, cst.BaseExpression):
            return False
        edits.replace(node, rendered)
        return True
    statement = tree.statement(node)
    if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1 or not rendered:
        return False
    bare = statement.with_changes(leading_lines=[])
    kept: List[cst.BaseStatement] = []
    for item in rendered:
        # The statement itself, passed through the template, stays as it was written.
        same = tree.code(item).strip() == tree.code(bare).strip()
        kept.append(bare if same else item)
    kept[0] = kept[0].with_changes(leading_lines=statement.leading_lines)
    last = kept[-1]
    if isinstance(last, cst.SimpleStatementLine):
        kept[-1] = last.with_changes(trailing_whitespace=statement.trailing_whitespace)
    edits.replace(statement, cst.FlattenSentinel(kept))  # type: ignore[arg-type]
    return True


def _affected_lines(before: str, after: str) -> int:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in lines)


def _patch(change: Change, diagnosis: Diagnosis, source: SourceTree) -> Patch | None:
    if change.weight <= 0 or not change.edits:
        return None
    edits = []
    imports: List[str] = []
    for edit in change.edits:
        path = edit.tree.path
        if source.refusal(path) is not None:
            return None
        before = source.read(path)
        try:
            after = edit.module().bytes
            cst.parse_module(after)
        except (UnicodeEncodeError, cst.ParserSyntaxError):
            return None
        if after == before:
            return None
        edits.append(FileEdit(path=path, before=before, after=after))
        imports += edit.imported
    patch = Patch(
        id="",
        rule_id=diagnosis.rule_id,
        edits=tuple(edits),
        effect=change.effect,
        risk=change.risk,
        summary=change.summary,
        rationale=f"{diagnosis.summary}. {change.rationale}",
        evidence=(*diagnosis.evidence, *change.evidence),
        confidence=round(diagnosis.confidence * change.weight, 4),
        imports=tuple(dict.fromkeys(imports)),
    )
    return patch.model_copy(update={"id": content_hash(patch.digest.encode())[:12]})
