"""The suites find what they are there to find: each runs here against a plugin that breaks its contract."""

from __future__ import annotations

import re
import textwrap

import pytest

from homeostasis.testing import conformance
from homeostasis.testing.conformance import PluginConformance

HEAD = """\
from homeostasis import hookimpl
from homeostasis.config import Table
from homeostasis.errors import DeployError
from homeostasis.models import Check, Completed, Diagnosis, Effect, FileEdit, Fix, Outcome, Patch, Span, Trial
from pydantic import BaseModel
"""


@pytest.fixture
def run(pytester):
    """Runs one suite over a plugin in a pytest of its own; gives the names of the tests that failed."""

    def run(suite: str, source: str, body: str = "", select: str = "") -> set[str]:
        pytester.makeconftest('pytest_plugins = ["homeostasis.testing.fixtures"]')
        pytester.makepyfile(sample_plugin=HEAD + textwrap.dedent(source))
        extra = textwrap.indent(textwrap.dedent(body), "    ")
        pytester.makepyfile(
            test_it=f"import sample_plugin\nfrom homeostasis.testing.conformance import {suite}\n\n\n"
            f"class TestIt({suite}):\n    name = 'sample'\n    plugin = sample_plugin\n{extra}"
        )
        published = "test_it.py::TestIt::test_an_entry_point_names_the_module"  # the sample is no installed package
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--deselect", published, "-k", select]
        result = pytester.runpytest_inprocess(*options)
        named = [line.split("::")[-1] for line in result.outlines if line.startswith(("FAILED", "ERROR"))]
        failed = {re.split(r"[ \[]", name)[0] for name in named}
        assert result.parseoutcomes().get("passed", 0) + len(failed) > 0, result.outlines
        return failed

    return run


def test_every_stage_has_a_suite():
    """There is one for each stage, for rules, and for what holds for all."""
    stages = {"Collect", "Analyze", "Patch", "Sandbox", "Validate", "Deploy", "Rules", "Plugin"}
    assert {f"{stage}Conformance" for stage in stages} == set(conformance.__all__)
    assert all(issubclass(getattr(conformance, name), PluginConformance) for name in conformance.__all__)


def test_async_hooks_are_found(run):
    """A coroutine that nobody would await is refused."""
    failed = run("PluginConformance", "@hookimpl\nasync def homeostasis_validate(patch):\n    return None\n")
    assert "test_the_plugin_is_accepted" in failed


def test_lenient_settings_are_found(run):
    """A settings model that swallows unknown keys, or leaves one undescribed, fails."""
    failed = run(
        "PluginConformance",
        """
        class Loose(BaseModel):
            limit: int = 3

        @hookimpl
        def homeostasis_settings():
            return Loose
        """,
    )
    assert failed == {"test_its_settings_forbid_unknown_keys", "test_its_settings_are_described"}


def test_a_plugin_that_talks_is_found(run):
    """Printing at import spoils the output of every command."""
    assert run("PluginConformance", "print('hello')\n@hookimpl\ndef homeostasis_validate(patch):\n    return []\n") == {
        "test_importing_it_does_nothing"
    }


def test_an_analysis_that_writes_is_found(run):
    """A file that appears while analyzing fails the suite."""
    failed = run(
        "AnalyzeConformance",
        """
        @hookimpl
        def homeostasis_analyze(incident, project):
            (project.root / "notes.txt").write_text("was here")
            span = Span(line=5)
            return [Diagnosis(rule_id="x", path="shop.py", span=span, summary="s", fix=Fix(kind="refactor", id="x"))]
        """,
    )
    assert failed == {"test_it_writes_nothing", "test_it_says_nothing_about_strangers"}


def test_a_validator_that_takes_failure_for_proof_is_found(run):
    """A required check that accepts what never ran fails the suite."""
    failed = run(
        "ValidateConformance",
        """
        @hookimpl
        def homeostasis_validate(trial):
            try:
                trial.run(["{python}", "-c", ""])
            except OSError:
                pass
            return Check(name="blind", outcome=Outcome.ACCEPTED, required=True, detail="looks fine")
        """,
    )
    assert failed == {"test_a_broken_trial_is_no_proof"}


def test_a_deployer_that_changes_before_it_says_so_is_found(run):
    """Changing first and recording afterwards fails, and so does an undo that does not undo."""
    failed = run(
        "DeployConformance",
        """
        @hookimpl
        def homeostasis_deploy(patch, project, journal):
            patch.apply(project.root)
            journal.intend({})
            return "done"

        @hookimpl
        def homeostasis_undo(step, patch, project):
            pass
        """,
    )
    assert {"test_the_intent_comes_first", "test_undo_restores_the_world"} <= failed


def test_a_sandbox_without_a_copy_is_found(run):
    """A sandbox that runs commands in the live tree fails."""
    failed = run(
        "SandboxConformance",
        """
        import os, subprocess, sys

        class Bare:
            def __init__(self, root):
                self.root = root

            def run(self, argv, *, stdin, env, cwd, timeout):
                done = subprocess.run(argv, input=stdin, env={**os.environ, **env}, cwd=self.root, timeout=timeout,
                                      capture_output=True, text=True)
                return Completed(argv=argv, returncode=done.returncode, stdout=done.stdout, stderr=done.stderr, seconds=1)

            def close(self):
                pass

        @hookimpl
        def homeostasis_sandbox(patch, project):
            return Trial(root=project.root, python=sys.executable, isolation="none", patch=patch, runner=Bare(project.root))
        """,
        select="secrets or written or has_the_patch",
    )
    assert failed == {
        "test_secrets_are_not_inherited",
        "test_the_live_tree_is_never_written",
        "test_a_candidate_has_the_patch",
    }


def test_a_collector_that_repeats_itself_is_found(run):
    """A collector that forgets where it was, or that cannot be stopped, fails."""
    failed = run(
        "CollectConformance",
        """
        EVENTS = []

        class Forgetful:
            def run(self, sink, stop):
                for event in EVENTS:
                    sink.event(event)
                stop.wait()

        @hookimpl
        def homeostasis_collect(project):
            return Forgetful()
        """,
        """
        def feed(self, project, event):
            sample_plugin.EVENTS.append(event)

        import pytest
        @pytest.fixture(autouse=True)
        def _fresh(self):
            sample_plugin.EVENTS.clear()
        """,
    )
    assert failed == {"test_an_event_arrives_once"}


def test_a_patcher_that_is_not_reproducible_is_found(run):
    """Two runs that propose different changes fail, and so do edits outside `source`."""
    failed = run(
        "PatchConformance",
        """
        import itertools
        NUMBERS = itertools.count()

        @hookimpl
        def homeostasis_analyze(incident):
            fix = Fix(kind="refactor", id="x")
            return [Diagnosis(rule_id="x", path="shop.py", span=Span(line=5), summary="s", fix=fix)]

        @hookimpl
        def homeostasis_patch(diagnosis, source):
            if diagnosis.fix.id != "x":
                return []
            before = source.read("shop.py")
            edit = FileEdit(path="shop.py", before=before, after=before + b"# %d" % next(NUMBERS))
            return [Patch(id="p", rule_id="x", edits=(edit,), effect=Effect.CORRECT, summary="s")]
        """,
    )
    assert failed == {"test_it_makes_the_same_patches_twice"}
