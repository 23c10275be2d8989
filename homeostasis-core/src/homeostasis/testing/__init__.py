r"""The test kit that Homeostasis ships: what tests us is what authors of plugins use.

Name the fixtures once, in the `conftest.py` at the root of your tests::

    pytest_plugins = ["homeostasis.testing.fixtures"]

Then there are `project_factory`, `memory_sink` and `journal`, the builders and fakes below, and the suites of
`homeostasis.testing.conformance`. A test of a rule's patch, from a real crash of real code::

    from homeostasis.testing import crash, incident_of

    def test_it_copies_before_iterating(project_factory):
        project = project_factory({"shop.py": "def prune(items):\n    for item in items: del items[item]\n"})
        event = crash(project, "import shop; shop.prune({1: 1})")
        assert event.raised.type == "RuntimeError"
        incident = incident_of(event)
"""

from __future__ import annotations

from homeostasis.testing.builders import crash, incident_of, patch_of, stranger, traceback_of, value_of
from homeostasis.testing.collectors import run_collectors
from homeostasis.testing.fakes import (
    Call,
    FakeRunner,
    Killed,
    MemorySink,
    RecordingJournal,
    completed,
    fake_trial,
    state_of,
)
from homeostasis.testing.projects import ProjectFactory, commit_all
from homeostasis.testing.servers import JsonHandler, LoopbackServer

__all__ = [
    "Call",
    "FakeRunner",
    "JsonHandler",
    "Killed",
    "LoopbackServer",
    "MemorySink",
    "ProjectFactory",
    "RecordingJournal",
    "commit_all",
    "completed",
    "crash",
    "fake_trial",
    "incident_of",
    "patch_of",
    "run_collectors",
    "state_of",
    "stranger",
    "traceback_of",
    "value_of",
]
