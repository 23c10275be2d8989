"""The regression test that a patch brings: written from what was recorded, and proven before it is shipped.

`layout` finds where the app keeps its tests and which fixtures they use, `rendering` writes the file, and `prove` runs
it: it must fail on the base and pass on the candidate. Otherwise it is left out, and the check says why.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, ContextManager, Iterator, Literal

from homeostasis.attempts import attempts, observe_base
from homeostasis.errors import HomeostasisError
from homeostasis.models import Check, FileEdit, Incident, Outcome, Patch, Trial
from homeostasis.project import Project
from homeostasis.recognition import crashes
from homeostasis.regression.layout import Layout
from homeostasis.regression.rendering import Style, Unwritable, render
from homeostasis.regression.subject import Subject
from homeostasis.replay import NotReplayed

LOG = logging.getLogger("homeostasis.regression")
NAME = "regression-test"

_RUN = """\
import os, pathlib, sys
path = pathlib.Path(sys.argv[1])
try:
    import pytest
except ImportError:
    sys.exit(90)
made = [folder for folder in path.parents if not folder.exists()]
path.parent.mkdir(parents=True, exist_ok=True)
path.write_bytes(sys.stdin.buffer.read())
try:
    status = int(pytest.main(["-q", "-p", "no:cacheprovider", "-o", "addopts=", str(path)]))
finally:
    path.unlink()
    for folder in made:
        try:
            folder.rmdir()
        except OSError:
            break
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)
"""
"""Writes the test into the trial's tree, runs it, and takes it away."""

Found = Literal["passes", "fails", "broken", "no pytest"]
_FOUND: dict[int, Found] = {0: "passes", 1: "fails", 90: "no pytest"}


def generate(
    trial: Trial,
    base: Trial,
    fresh: Callable[[Patch | None], ContextManager[Trial]],
    incident: Incident,
    project: Project,
) -> tuple[Patch, Check]:
    """The patch with a regression test, if one can be written and proven, and what to say about it.

    Args:
        trial: of the candidate.
        base: of the unpatched app; what validators asked these two is answered from memory.
        fresh: makes others, because validators may be running the app's own tests in these.
        incident: what crashed.
        project: where the test goes.
    """
    patch = trial.patch
    if patch is None:
        raise ValueError("the trial of a candidate has a patch")
    try:
        layout = Layout.of(project)
        subject = _subject(trial, base, incident, patch, project)
        path = layout.path(incident.id)
        reason = "it could not be written"
        with fresh(None) as before, fresh(patch) as after:
            for text in _versions(subject, layout):
                edit = FileEdit(path=path, before=None, after=text.encode())
                reason = prove(edit, after, before, project.config.validation.replay_timeout)
                if not reason:
                    found = f"{path} fails without the patch and passes with it"
                    return patch.with_regression_test(edit), _check(Outcome.ACCEPTED, found)
                if reason.startswith("no pytest"):
                    break
    except (Unwritable, NotReplayed, HomeostasisError) as refusal:
        reason = str(refusal)
    except Exception as error:  # the verdict does not depend on it, so neither may the healing
        LOG.exception("no regression test for %s", incident.id)
        reason = f"{type(error).__name__}: {error}"
    return patch, _check(Outcome.INCONCLUSIVE, f"left out: {reason}")


def prove(edit: FileEdit, trial: Trial, base: Trial, timeout: float) -> str:
    """Why the test proves nothing, in a phrase; empty if it fails on the base and passes on the candidate."""
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="regression") as pool:
        before, after = pool.map(lambda one: _run(one, edit, timeout), (base, trial))
    if "no pytest" in (before, after):
        return "no pytest is installed beside the app"
    if after != "passes":
        return f"the test {'fails' if after == 'fails' else 'cannot be run'} with the patch"
    return "" if before == "fails" else "the test does not fail without the patch"


def _run(trial: Trial, edit: FileEdit, timeout: float) -> Found:
    done = trial.run(["{python}", "-c", _RUN, edit.path], stdin=edit.after.decode(), timeout=timeout)
    return "broken" if done.timed_out else _FOUND.get(done.returncode, "broken")


def _versions(subject: Subject, layout: Layout) -> Iterator[str]:
    """The test in several forms, the most readable first; each is written only if those before it prove nothing."""
    written: set[str] = set()
    fixtures = layout.fixtures if subject.request is not None else {}
    for style in (
        Style(fixtures, all_headers=False, exact=True),
        Style({}, all_headers=False, exact=True),
        Style({}, all_headers=True, exact=True),
        Style({}, all_headers=True, exact=False),
    ):
        text = render(subject, style._replace(unittest=layout.unittest))
        if text not in written:
            written.add(text)
            yield text


def _subject(trial: Trial, base: Trial, incident: Incident, patch: Patch, project: Project) -> Subject:
    """What happened, by the first way in which the base crashes; what was run before is answered from memory.

    Raises:
        Unwritable: there is none.
    """
    for attempt in attempts(incident, project):
        try:
            before = observe_base(attempt, base, incident)
        except NotReplayed:
            continue
        if crashes(before.events, incident.event):
            if before.failures:
                raise Unwritable("the command that crashed is a run of tests already")
            return Subject.of(attempt, attempt.observe(trial), incident, patch, project)
    raise Unwritable("the crash could not be reproduced")


def _check(outcome: Outcome, detail: str) -> Check:
    return Check(name=NAME, outcome=outcome, detail=detail, plugin="homeostasis")
