"""Stage 2, around `homeostasis_analyze`: what may be the cause, the likeliest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis.models import Diagnosis, Incident, State
from homeostasis.stages.context import Ended, stage

if TYPE_CHECKING:
    from homeostasis.source import SourceTree
    from homeostasis.stages.context import Context


def analyze(context: Context, incident: Incident, source: SourceTree) -> list[Diagnosis]:
    """The diagnoses of all plugins, those in code that may be changed, sorted by confidence.

    Raises:
        Ended: no plugin knows a cause that lies in the project's source.
    """
    with stage(context, "analyze", incident) as progress:
        found = context.plugins.analyze(incident, source)
        diagnoses, refused = [], []
        for diagnosis in found:
            refusal = "does not exist" if source.relative(diagnosis.path) is None else source.refusal(diagnosis.path)
            (refused.append(f"{diagnosis.path} {refusal}") if refusal else diagnoses.append(diagnosis))
        diagnoses.sort(key=lambda diagnosis: -diagnosis.confidence)
        if not diagnoses:
            raise Ended(State.UNFIXABLE, _nothing(context, incident, refused))
        context.ledger.set_diagnoses(incident.id, diagnoses)
        progress.found(diagnoses[0].summary, diagnoses[0])
    context.move(incident, State.DIAGNOSED, diagnoses[0].summary)
    return diagnoses


def _nothing(context: Context, incident: Incident, refused: list[str]) -> str:
    if refused:
        return f"the cause may not be changed: {'; '.join(sorted(set(refused)))}"
    failed = [str(failure) for failure in context.plugins.failures if failure.hook == "homeostasis_analyze"]
    said = f" ({failed[-1]})" if failed else ""
    return f"no rule knows this {incident.event.raised.dotted}{said}: see `homeostasis rules explain {incident.id}`"
