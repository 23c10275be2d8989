"""The typed facade over pluggy: nobody else touches a plugin manager."""

from __future__ import annotations

import difflib
import inspect
import logging
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Iterator, TypeVar

from pydantic import BaseModel

from homeostasis.config import TABLES, validate_table
from homeostasis.errors import ConfigError, DeployError, PluginError
from homeostasis.models import Check, Diagnosis, Outcome, Patch, Trial
from homeostasis.plugins.discovery import load_allowed
from homeostasis.plugins.failures import Failure, PluginState
from homeostasis.plugins.refusal import PREFIX, new_manager, refusal

if TYPE_CHECKING:
    import typer

    from homeostasis.hookspecs import Collector, Journal
    from homeostasis.models import Incident, Notification, Release, Step, Verdict
    from homeostasis.project import Project
    from homeostasis.rules import RuleRegistry, TemplateRegistry
    from homeostasis.source import SourceTree

LOG = logging.getLogger("homeostasis.plugins")
KEPT_FAILURES = 200
ResultT = TypeVar("ResultT")


def load_plugins(project: Project) -> Plugins:
    """Find, load, check and register the plugins that the project allows.

    A broken plugin is refused with a reason (`Plugins.states`) and the others go on.

    Raises:
        ConfigError: a plugin's table has a wrong value, or a table belongs to nobody.
    """
    objects, states = load_allowed(project.config.plugins)
    plugins = Plugins(project)
    reasons = {name: plugins.add(name, obj) for name, obj in objects.items()}
    plugins.states = tuple(_with_outcome(state, reasons, plugins) for state in states)
    plugins.read_tables()
    return plugins


def _with_outcome(state: PluginState, reasons: dict[str, str | None], plugins: Plugins) -> PluginState:
    if state.state != "loaded":
        return state
    reason = reasons[state.name]
    if reason:
        return replace(state, state="refused", reason=reason)
    return replace(state, hooks=plugins.hooks_of(state.name))


class Plugins:
    """Typed calls into all registered plugins, in the order in which the project lists them.

    pluggy isolates nothing, so each plugin is called alone: one that raises loses its own result only.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.states: tuple[PluginState, ...] = ()
        self.failures: deque[Failure] = deque(maxlen=KEPT_FAILURES)
        self._manager = new_manager()
        self._names: list[str] = []
        self._settings: dict[str, BaseModel] = {}
        self._registering = threading.RLock()
        self._rules: RuleRegistry | None = None
        self._templates: TemplateRegistry | None = None

    # --- registration

    def add(self, name: str, module: Any) -> str | None:
        """Register a plugin; returns why it was refused, or None."""
        reason = refusal(module)
        if reason is None:
            self._manager.register(module, name)
            self._names.append(name)
        return reason

    def hooks_of(self, name: str) -> tuple[str, ...]:
        """The hooks that a plugin implements, without prefix."""
        callers = self._manager.get_hookcallers(self._manager.get_plugin(name)) or []
        return tuple(sorted(caller.name[len(PREFIX) :] for caller in callers))

    def implementing(self, hook: str) -> list[str]:
        """Names of the plugins that implement a hook (without prefix), in the project's order."""
        return [name for name in self._names if hook in self.hooks_of(name)]

    def read_tables(self) -> None:
        """Validate `[tool.homeostasis.<plugin>]` of every plugin that has settings.

        Raises:
            ConfigError: a value is wrong, or a table belongs to no loaded plugin.
        """
        tables, file = self.project.config.plugin_tables, self.project.config.file
        for name in self.implementing("settings"):
            model = self._call(name, "settings", {})
            if not (inspect.isclass(model) and issubclass(model, BaseModel)):
                self._fail(name, "settings", f"returned {model!r}, not a pydantic model class")
                continue
            self._settings[name] = validate_table(model, tables.get(name, {}), f"tool.homeostasis.{name}", file)
        for name in tables:
            if name not in self._settings:
                raise ConfigError(f"{file}: [tool.homeostasis.{name}] {self._nobody_reads(name)}")

    def _nobody_reads(self, name: str) -> str:
        state = next((state for state in self.states if state.name == name), None)
        if state is not None:
            return f"is the table of a plugin that is {state.state}: {state.reason or 'it has no settings'}"
        near = difflib.get_close_matches(name, [*TABLES, *self._settings], n=1)
        return (
            f"is read by nobody: did you mean [tool.homeostasis.{near[0]}]?" if near else "is read by nobody: remove it"
        )

    def settings(self, name: str) -> BaseModel | None:
        """A plugin's own validated table; None if it has none."""
        return self._settings.get(name)

    # --- the hooks

    def register_cli(self, app: typer.Typer) -> None:
        """Let plugins add their commands."""
        for name in self.implementing("register_cli"):
            self._call(name, "register_cli", {"app": app})

    @property
    def rules(self) -> RuleRegistry:
        """The rules of all plugins."""
        with self._registering:
            if self._rules is None:
                from homeostasis.rules import RuleRegistry

                registry = RuleRegistry()
                self._register("register_rules", registry)
                self._rules = registry
            return self._rules

    @property
    def templates(self) -> TemplateRegistry:
        """The templates of all plugins."""
        with self._registering:
            if self._templates is None:
                from homeostasis.rules import TemplateRegistry

                registry = TemplateRegistry()
                self._register("register_templates", registry)
                self._templates = registry
            return self._templates

    def read_rules(self) -> None:
        """Read the rules and templates of all plugins now; otherwise that is done when they are first asked for."""
        _ = self.rules, self.templates

    def _register(self, hook: str, registry: Any) -> None:
        for name in self.implementing(hook):
            self._call(name, hook, {"registry": registry})

    def collectors(self) -> list[tuple[str, Collector]]:
        """Stage 1: the collectors of all plugins, each with its plugin's name."""
        found: list[tuple[str, Collector]] = []
        for name in self.implementing("collect"):
            result = self._call(name, "collect", {"project": self.project, "settings": self.settings(name)})
            collectors = list(result) if isinstance(result, (list, tuple)) else [result]
            found += [(name, collector) for collector in collectors if collector is not None]
        return found

    def analyze(self, incident: Incident, source: SourceTree) -> list[Diagnosis]:
        """Stage 2: what the plugins take for the cause."""
        arguments = {"incident": incident, "source": source, "rules": self.rules, "project": self.project}
        return [item.model_copy(update={"plugin": name}) for name, item in self._each("analyze", arguments, Diagnosis)]

    def patch(self, diagnosis: Diagnosis, incident: Incident, source: SourceTree) -> list[Patch]:
        """Stage 3: candidates for one diagnosis."""
        arguments = {
            "diagnosis": diagnosis,
            "incident": incident,
            "source": source,
            "templates": self.templates,
        }
        named = self._each("patch", arguments, Patch)
        return [item.model_copy(update={"plugin": name, "incident_id": incident.id}) for name, item in named]

    def sandbox(self, patch: Patch | None) -> Trial:
        """Stage 4: the first environment that a plugin makes.

        Raises:
            PluginError: none made one, with what each of them said.
        """
        before = len(self.failures)
        for name in self.implementing("sandbox"):
            arguments = {"patch": patch, "project": self.project, "settings": self.settings(name)}
            trial = self._call(name, "sandbox", arguments)
            if isinstance(trial, Trial):
                return trial
            if trial is not None:
                self._fail(name, "sandbox", f"returned {type(trial).__name__}, not a Trial")
        said = "; ".join(failure.message for failure in list(self.failures)[before:])
        raise PluginError(said or "no plugin offers a sandbox: allow one, such as sandbox-venv, in plugins")

    def validate(self, name: str, trial: Trial, base: Trial, incident: Incident, patch: Patch) -> list[Check]:
        """Stage 5: the checks of one validator.

        A validator that breaks has not agreed, and silence must not look like consent: its failure comes back as a
        required check without a result.
        """
        arguments = {"trial": trial, "base": base, "incident": incident, "patch": patch, "project": self.project}
        before = len(self.failures)
        checks = [
            check.model_copy(update={"plugin": name}) for _, check in self._of(name, "validate", arguments, Check)
        ]
        broken = [failure for failure in list(self.failures)[before:] if failure.plugin == name]
        return checks + [
            Check(name=name, plugin=name, outcome=Outcome.INCONCLUSIVE, required=True, detail=str(failure))
            for failure in broken
        ]

    def deploy(self, name: str, patch: Patch, verdict: Verdict, incident: Incident, journal: Journal) -> str:
        """Stage 6: one deployer's step; returns what was done.

        Raises:
            DeployError: it could not be done.
        """
        arguments = {
            "patch": patch,
            "verdict": verdict,
            "incident": incident,
            "project": self.project,
            "settings": self.settings(name),
            "journal": journal,
        }
        return str(self._call_strictly(name, "deploy", arguments) or "")

    def undo(self, step: Step, release: Release, patch: Patch) -> None:
        """Take one deployer's step back.

        Raises:
            DeployError: it could not be undone, or the deployer is not loaded any more.
        """
        arguments = {
            "step": step,
            "release": release,
            "patch": patch,
            "project": self.project,
            "settings": self.settings(step.deployer),
        }
        self._call_strictly(step.deployer, "undo", arguments)

    def notify(self, name: str, notification: Notification) -> str | None:
        """Tell one notifier; returns what went wrong."""
        arguments = {"notification": notification, "project": self.project, "settings": self.settings(name)}
        try:
            self._hook(name, "notify")(**arguments)
        except (Exception, SystemExit) as error:
            self._fail(name, "notify", f"{type(error).__name__}: {error}")
            return f"{type(error).__name__}: {error}"
        return None

    # --- calling one plugin

    def _each(self, hook: str, arguments: dict[str, Any], kind: type[ResultT]) -> Iterator[tuple[str, ResultT]]:
        for name in self.implementing(hook):
            yield from self._of(name, hook, arguments, kind)

    def _of(
        self, name: str, hook: str, arguments: dict[str, Any], kind: type[ResultT]
    ) -> Iterator[tuple[str, ResultT]]:
        result = self._call(name, hook, {**arguments, "settings": self.settings(name)})
        for item in [result] if isinstance(result, kind) else result or ():
            if isinstance(item, kind):
                yield name, item
            else:
                self._fail(name, hook, f"returned {type(item).__name__}, not {kind.__name__}")

    def _call_strictly(self, name: str, hook: str, arguments: dict[str, Any]) -> Any:
        if name not in self.implementing(hook):
            raise DeployError(f"plugin {name!r} is not loaded or has no {PREFIX}{hook}: see `homeostasis plugins`")
        try:
            return self._hook(name, hook)(**arguments)
        except DeployError:
            raise
        except (Exception, SystemExit) as error:
            self._fail(name, hook, f"{type(error).__name__}: {error}")
            raise DeployError(f"plugin {name!r} failed in {PREFIX}{hook}: {type(error).__name__}: {error}") from error

    def _call(self, name: str, hook: str, arguments: dict[str, Any]) -> Any:
        try:
            result = self._hook(name, hook)(**arguments)
            # Generators run here, where a failure of theirs is still theirs.
            return list(result) if inspect.isgenerator(result) or isinstance(result, Iterator) else result
        except (Exception, SystemExit) as error:
            self._fail(name, hook, f"{type(error).__name__}: {error}")
            return None

    def _hook(self, name: str, hook: str) -> Callable[..., Any]:
        others = [self._manager.get_plugin(other) for other in self._names if other != name]
        caller = self._manager.subset_hook_caller(f"{PREFIX}{hook}", others)

        def call(**arguments: Any) -> Any:
            results = caller(**arguments)
            if caller.spec is not None and caller.spec.opts.get("firstresult"):
                return results
            return results[0] if results else None

        return call

    def _fail(self, name: str, hook: str, message: str) -> None:
        failure = Failure(name, f"{PREFIX}{hook}", message)
        self.failures.append(failure)
        LOG.warning("%s", failure)
