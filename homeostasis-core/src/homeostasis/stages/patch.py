"""Stage 3, around `homeostasis_patch`: candidates, the one to prefer first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from homeostasis.models import Diagnosis, Effect, Incident, Patch, State
from homeostasis.stages.context import Ended, stage

if TYPE_CHECKING:
    from homeostasis.source import SourceTree
    from homeostasis.stages.context import Context

EFFECT_WEIGHT = {
    Effect.CORRECT: 0.10,
    Effect.REFUSE: 0.08,
    Effect.RECOVER: 0.05,
    Effect.RECONNECT: 0.05,
    Effect.INVENT: -1.0,
}
"""Added to the confidence: restoring the intent beats refusing, beats recovering; inventing comes last."""


def patch(
    context: Context, incident: Incident, source: SourceTree, diagnoses: Sequence[Diagnosis]
) -> list[tuple[Patch, Diagnosis]]:
    """Ranked candidates without repetitions, each with the diagnosis that it follows from.

    Raises:
        Ended: no plugin could make a patch.
    """
    with stage(context, "patch", incident) as progress:
        candidates: dict[str, tuple[Patch, Diagnosis]] = {}
        refused: list[str] = []
        for diagnosis in diagnoses:
            for made in context.plugins.patch(diagnosis, incident, source):
                candidate = made.model_copy(update={"regression_test": None})  # only ours may lie outside source
                reasons = [_refusal(source, edit.path) for edit in candidate.edits]
                if any(reasons):
                    refused += [reason for reason in reasons if reason]
                else:
                    candidates.setdefault(candidate.digest, (candidate, diagnosis))
        if not candidates:
            raise Ended(State.UNFIXABLE, _nothing(context, diagnoses, refused))
        ranked = sorted(candidates.values(), key=lambda pair: -score(context, pair[0]))
        ranked = ranked[: context.project.config.validation.max_candidates]
        context.ledger.add_candidates(incident.id, [p for p, _ in ranked], [d for _, d in ranked])
        progress.found(f"{len(ranked)} candidate{'s' if len(ranked) > 1 else ''}", ranked[0][0])
    context.move(incident, State.PATCHED, ranked[0][0].summary)
    return ranked


def score(context: Context, candidate: Patch) -> float:
    """How much a candidate is to be preferred: confidence, effect, the rule's record in the ledger, and size."""
    record = context.ledger.track.merit(candidate.rule_id)
    size = sum(1 for line in candidate.diff.splitlines() if line[:1] in "+-")
    return candidate.confidence + EFFECT_WEIGHT[candidate.effect] + 0.1 * record - 0.002 * min(size, 100)


def _refusal(source: SourceTree, path: str) -> str | None:
    if source.relative(path) is None:
        # A new file: only its place can be judged.
        return None if source.project.covers(path) else f"{path} lies outside source"
    refusal = source.refusal(path)
    return f"{path} {refusal}" if refusal else None


def _nothing(context: Context, diagnoses: Sequence[Diagnosis], refused: Sequence[str]) -> str:
    if refused:
        return f"the fix may not be written: {'; '.join(sorted(set(refused)))}"
    failed = [str(failure) for failure in context.plugins.failures if failure.hook == "homeostasis_patch"]
    rules = ", ".join(sorted({diagnosis.rule_id for diagnosis in diagnoses}))
    return f"no patch could be made for {rules}{f' ({failed[-1]})' if failed else ''}"
