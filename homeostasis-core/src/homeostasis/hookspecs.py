"""All hooks on one page, top to bottom in the order in which an error flows through them.

An implementation is a module-level function with the hook's name under `@homeostasis.hookimpl`; it may leave out the
parameters that it does not need. `settings` is always the plugin's own validated table (see `homeostasis_settings`),
or None if it has none. A plugin that raises loses its own result only; the incident names it and the others go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ContextManager, Iterable, Mapping, Protocol, Sequence

import pluggy

if TYPE_CHECKING:
    import typer
    from pydantic import BaseModel

    from homeostasis.models import (
        Check,
        Diagnosis,
        Event,
        Incident,
        Notification,
        Patch,
        Release,
        Request,
        Step,
        Trial,
        Verdict,
    )
    from homeostasis.project import Project
    from homeostasis.rules import RuleRegistry, TemplateRegistry
    from homeostasis.source import SourceTree

NAMESPACE = "homeostasis"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


# --- once, when the plugin is loaded -------------------------------------------------------------------------------


@hookspec
def homeostasis_settings() -> type[BaseModel]:  # type: ignore[empty-body]
    """Called once after loading. Return the pydantic model of the plugin's table `[tool.homeostasis.<plugin name>]`."""


@hookspec
def homeostasis_register_cli(app: typer.Typer) -> None:
    """Called when the command line starts. Add commands or sub-apps to `app`."""


@hookspec
def homeostasis_register_rules(registry: RuleRegistry) -> None:
    """Called once before the first analysis. Add rules with `registry.add_directory(path)` or `registry.add(rule)`."""


@hookspec
def homeostasis_register_templates(registry: TemplateRegistry) -> None:
    """Called once before the first patch. Add templates with `registry.add_directory(path)` or `registry.add(...)`."""


# --- 1 collect -----------------------------------------------------------------------------------------------------


class Sink(Protocol):
    """Where collectors put what they hear. A call returns once the record is durable: acknowledge the source then."""

    def event(self, event: Event) -> None:
        """An exception was captured whole."""

    def recurrence(self, fingerprint: str, count: int, last_seen: float) -> None:
        """A known crash happened `count` more times, without being captured again."""

    def sample(self, service: str, request: Request) -> None:
        """A request that was answered well, kept to compare candidates with."""

    def traffic(
        self,
        service: str,
        route: str,
        requests: int,
        errors: int,
        at: float,
        seconds: float = 0.0,
        buckets: Sequence[int] = (),
    ) -> None:
        """So many requests of a route were answered since the last such record, so many of them with a 5xx.

        `seconds` is the sum of their durations and `buckets` their histogram: how many lie between the upper bounds
        `homeostasis.monitoring.traffic.BOUNDARIES`, and, last, how many above. Leave both out if they are not known.
        """

    def lost(self, reason: str, count: int) -> None:
        """Records were dropped or unreadable."""

    def heard(self, source: str, records: int, at: float) -> None:
        """So many records were read from `source`, such as a file or an endpoint, at a time in seconds since the
        epoch. Call it once a batch; `homeostasis sources` shows it.
        """

    def batch(self) -> ContextManager[None]:
        """Within it calls are durable at its end only, all together; with `advance` as the last, nothing counts twice.

        Keep it short: the ledger waits for it.
        """

    def position(self, source: str) -> int:
        """How far `source` (a name of the collector's choice) was read before; 0 if never."""

    def advance(self, source: str, position: int) -> None:
        """Remember how far `source` has been read; call it after its records were put."""


class Collector(Protocol):
    """One source of events. It runs in a thread of its own until `stopped()`; waiting happens in `wait`."""

    def run(self, sink: Sink, stop: Stop) -> None:
        """Put records into `sink` until `stop.is_set()`."""


class Stop(Protocol):
    """A `threading.Event` that is set when the orchestrator ends."""

    def is_set(self) -> bool:
        """Whether to end now."""

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until the end or the timeout, in seconds."""


@hookspec
def homeostasis_collect(project: Project, settings: Any) -> Collector | Iterable[Collector]:  # type: ignore[empty-body]
    """Called when the orchestrator starts. Return the collectors that shall run."""


# --- 2 analyze -----------------------------------------------------------------------------------------------------


@hookspec
def homeostasis_analyze(  # type: ignore[empty-body]
    incident: Incident, source: SourceTree, rules: RuleRegistry, project: Project, settings: Any
) -> Iterable[Diagnosis]:
    """Called for each incident. Return what may be the cause, in any order; nothing if the plugin does not know."""


# --- 3 patch -------------------------------------------------------------------------------------------------------


@hookspec
def homeostasis_patch(  # type: ignore[empty-body]
    diagnosis: Diagnosis, incident: Incident, source: SourceTree, templates: TemplateRegistry, settings: Any
) -> Iterable[Patch]:
    """Called for each diagnosis. Return candidates as values; write nothing."""


# --- 4 sandbox -----------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def homeostasis_sandbox(patch: Patch | None, project: Project, settings: Any) -> Trial | None:
    """Called for the base (`patch` is None) and for each candidate. Return an isolated environment with a copy of the
    tree and the patch applied, or None to leave it to the next plugin.
    """


# --- 5 validate ----------------------------------------------------------------------------------------------------


@hookspec
def homeostasis_validate(  # type: ignore[empty-body]
    trial: Trial, base: Trial, incident: Incident, patch: Patch, project: Project, settings: Any
) -> Check | Iterable[Check]:
    """Called for each candidate, with the unpatched `base` beside it. Return checks; one `rejected` is a veto.

    The same command run twice in one trial is run once and answered from memory, so `base` costs nothing for the
    second candidate, and validators that replay the same requests share the run.
    """


# --- 6 deploy ------------------------------------------------------------------------------------------------------


class Journal(Protocol):
    """Writes down what a deployer is about to do, so that it can be undone after a crash."""

    def intend(self, undo: Mapping[str, Any]) -> None:
        """Record, durably, what `homeostasis_undo` needs. Call it before the first change, once."""

    def fact(self, name: str, value: Any) -> None:
        """Add a JSON value to the step's facts, such as `commit`."""


@hookspec
def homeostasis_deploy(  # type: ignore[empty-body]
    patch: Patch, verdict: Verdict, incident: Incident, project: Project, settings: Any, journal: Journal
) -> str:
    """Called for the plugins that `[tool.homeostasis.deploy] chain` names, in its order. Make the patch live and
    return what was done, in a sentence.

    Raises:
        DeployError: it cannot be done; the steps before it are undone in reverse order.
    """


@hookspec
def homeostasis_undo(step: Step, release: Release, patch: Patch, project: Project, settings: Any) -> None:
    """Called on the deployer that made `step`, in reverse order of the chain. Must work whether the step was carried
    out wholly, in part or not at all, and when called twice.

    Raises:
        DeployError: it cannot be undone without harm, with what to do by hand.
    """


# --- beside the stages ---------------------------------------------------------------------------------------------


@hookspec
def homeostasis_notify(notification: Notification, project: Project, settings: Any) -> None:
    """Called, in a thread of its own, when an incident begins to wait for a person, goes live, or ends. Tell somebody.

    Raises:
        Exception: of any kind: it is tried again, a few times, and then passed over. The same notification may
            therefore come twice: its `id` tells.
    """
