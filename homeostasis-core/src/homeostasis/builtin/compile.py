"""Built-in validator `compile`: what was edited compiles in the app's interpreter, and imports if it did before."""

from __future__ import annotations

from homeostasis import hookimpl
from homeostasis.models import Check, Incident, Outcome, Patch, Trial
from homeostasis.project import Project
from homeostasis.replay import ModuleResult, NotReplayed, check_modules, compared

NAME = "compile"


@hookimpl
def homeostasis_validate(trial: Trial, base: Trial, incident: Incident, patch: Patch, project: Project) -> Check:
    """Compile and import the edited files in the candidate; on a failure, look whether the base has it too."""
    return compared(base, lambda: _check(trial, base, incident, patch, project))


def _check(trial: Trial, base: Trial, incident: Incident, patch: Patch, project: Project) -> Check:
    try:
        found = check_modules(trial, incident, patch, project)
        bad = [module for module in found if module.syntax or module.error]
        if bad and not any(module.syntax for module in bad):
            before = {module.path: module for module in check_modules(base, incident, patch, project)}
            bad = [module for module in bad if not _failed_before(module, before.get(module.path))]
    except NotReplayed as reason:
        return Check(name=NAME, outcome=Outcome.INCONCLUSIVE, detail=str(reason), required=True)
    if bad:
        detail = "; ".join(f"{module.path}: {module.syntax or module.error}" for module in bad)
        return Check(name=NAME, outcome=Outcome.REJECTED, detail=detail, required=True)
    files = ", ".join(module.path for module in found) or "no Python file was edited"
    detail = f"compiles, and imports unless it is a script: {files}"
    return Check(name=NAME, outcome=Outcome.ACCEPTED, detail=detail, required=True)


def _failed_before(now: ModuleResult, before: ModuleResult | None) -> bool:
    """Whether the unpatched module failed in the same way, as one does that needs to be imported by another."""
    return before is not None and before.error is not None and _kind(before) == _kind(now)


def _kind(module: ModuleResult) -> str:
    return (module.error or "").partition(":")[0]
