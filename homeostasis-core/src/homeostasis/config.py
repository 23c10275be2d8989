"""`[tool.homeostasis]` of `pyproject.toml`: every setting of core, validated; plugins validate their own tables."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from homeostasis.errors import ConfigError
from homeostasis.oversight import freeze
from homeostasis.toml import tomllib

DEFAULT_PLUGINS = (
    "spool",
    "rules-python",
    "sandbox-venv",
    "forbidden-code",
    "compile",
    "reproduction",
    "healthy-traffic",
    "own-tests",
    "working-tree",
    "git-branch",
    "hotswap",
)
"""What `homeostasis init` writes into `plugins`: the built-ins and the founding packages."""


class Table(BaseModel):
    """A table of settings: frozen, and unknown keys are errors. Plugins derive their own from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MonitoringTable(Table):
    """`[tool.homeostasis.monitoring]`: read by the app itself, see `homeostasis.monitoring.config`."""

    enabled: bool = Field(default=True, description="Whether anything is captured at all.")
    inject: bool = Field(
        default=True,
        description="Whether `homeostasis run -- COMMAND` starts the monitoring in each Python process of the app.",
    )
    exclude_modules: tuple[str, ...] = Field(
        default=(), description="Modules (with everything below them) whose errors are neither captured nor healed."
    )
    exclude_error_types: tuple[str, ...] = Field(
        default=(), description="Exception classes, by name or dotted name, that are neither captured nor healed."
    )
    sample_rate: float = Field(default=1.0, ge=0, le=1, description="Share of new captures that are taken.")
    capture_request_body: bool = Field(default=True, description="Keep the request body of a crash, redacted.")
    capture_404: bool = Field(default=False, description="Treat a 404 as an error.")
    max_body_bytes: int = Field(default=16384, ge=0, description="Longest request body that is kept, in bytes.")
    max_event_bytes: int = Field(default=262144, ge=4096, description="Largest event that is written, in bytes.")
    max_spool_bytes: int = Field(
        default=67108864, ge=65536, description="Size of the spool before records are dropped."
    )
    healthy_samples: int = Field(default=5, ge=0, description="Healthy requests kept per route, for comparison.")
    level: str = Field(default="ERROR", description="Lowest level of log records with a traceback that are captured.")
    redact_names: tuple[str, ...] = Field(default=(), description="Further names whose values are secrets.")
    max_captures_per_second: int = Field(
        default=50, ge=1, description="Full captures of one process; different errors beyond it are counted as lost."
    )


class ValidateTable(Table):
    """`[tool.homeostasis.validate]`."""

    test_command: str | None = Field(default=None, description="The app's own tests, such as `pytest -q`.")
    test_timeout: float = Field(default=300.0, gt=0, description="Seconds for one run of the tests.")
    replay_timeout: float = Field(default=30.0, gt=0, description="Seconds for one replay, start of the app included.")
    regression_test: bool = Field(
        default=True,
        description="Whether a patch brings a generated pytest test that fails without it and passes with it.",
    )
    max_candidates: int = Field(default=8, ge=1, description="Candidates that are tried for one incident.")
    parallel: int | None = Field(
        default=None, ge=1, description="Candidates tried at the same time; by default one for each two processors."
    )


class DeployTable(Table):
    """`[tool.homeostasis.deploy]`."""

    chain: tuple[str, ...] = Field(
        default=("git-branch",), description="Deploying plugins, in order; undone in reverse if one fails."
    )


class PolicyRule(Table):
    """One `[[tool.homeostasis.policy.rules]]`: the first that matches a patch decides. What is left out matches all."""

    action: Literal["deploy", "ask", "refuse"] = Field(description="What to do with a patch that matches.")
    reason: str = Field(default="", description="Shown beside the decision.")
    effects: tuple[str, ...] = Field(default=(), description="Effects of the patch.")
    rules: tuple[str, ...] = Field(default=(), description="Globs of the ids of the rule that made it.")
    paths: tuple[str, ...] = Field(default=(), description="Globs of files; one edited file is enough.")
    modules: tuple[str, ...] = Field(default=(), description="Globs of the module that crashed.")
    environments: tuple[str, ...] = Field(default=(), description="Globs of `environment`.")
    min_risk: Literal["low", "medium", "high"] = Field(default="low", description="Lowest risk that matches.")
    min_severity: Literal["low", "medium", "high", "critical"] = Field(
        default="low", description="Lowest severity of the diagnosis that matches."
    )


class PolicyTable(Table):
    """`[tool.homeostasis.policy]`: what may go live without a person when `mode` is `auto`."""

    rules: tuple[PolicyRule, ...] = Field(
        default=(), description="Special cases, in order; the settings below decide about what none of them matches."
    )

    effects: tuple[Literal["correct", "refuse", "recover", "reconnect"], ...] = Field(
        default=("correct", "refuse", "recover", "reconnect"),
        description="Effects that may be deployed without asking. A patch that invents a value always asks.",
    )
    max_risk: Literal["low", "medium", "high"] = Field(
        default="medium", description="Highest risk that is not asked about."
    )
    ask_paths: tuple[str, ...] = Field(default=(), description="Globs of files for which a person is always asked.")
    max_per_hour: int = Field(default=20, ge=0, description="Deployments in an hour before asking.")
    max_per_crash: int = Field(
        default=3, ge=0, description="Deployments for crashes of one fingerprint, ever, before asking."
    )
    cool_down: float = Field(
        default=0.0, ge=0, description="Seconds after a deployment in which another one to the same file asks."
    )
    freeze: tuple[str, ...] = Field(
        default=(),
        description="Times in which everything asks: `Fri 16:00 - Mon 08:00` or `2026-12-20 - 2027-01-02`.",
    )
    time_zone: str = Field(default="UTC", description="IANA name of the zone that `freeze` is meant in.")
    approvals: int = Field(default=1, ge=1, description="Different people who must approve a patch.")
    approvers: tuple[str, ...] = Field(
        default=(),
        description="Who may approve and reject, as globs of `user:NAME` or `token:NAME`; empty for everybody.",
    )
    approval_expiry: float = Field(
        default=604800.0, gt=0, description="Seconds after which an approval, or a patch that waits for one, lapses."
    )
    tokens: dict[str, str] = Field(
        default_factory=dict,
        description="People and machines who identify themselves by HOMEOSTASIS_TOKEN: name to hex SHA-256 of it.",
    )

    @field_validator("freeze")
    @classmethod
    def _readable(cls, windows: tuple[str, ...]) -> tuple[str, ...]:
        for window in windows:
            freeze.parse(window)
        return windows

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        freeze.zone(name)
        return name

    @field_validator("tokens")
    @classmethod
    def _hashed(cls, tokens: dict[str, str]) -> dict[str, str]:
        for name, value in tokens.items():
            if not re.fullmatch("[0-9a-f]{64}", value):
                raise ValueError(f"the token of {name!r} is no hex SHA-256: make it with `sha256sum`, never plain text")
        return tokens


class ObserveTable(Table):
    """`[tool.homeostasis.observe]`: what is compared after a release with the time before."""

    window: float = Field(
        default=60.0,
        ge=0,
        description="Seconds that a release is watched at least before it counts as healed; 0 does not watch at all.",
    )
    rollback: bool = Field(default=True, description="Undo a release by itself when it does harm.")
    doubt: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="How likely it may be that nothing was seen although the crash is still there. Until enough "
        "requests came for that, a release is inconclusive: people are told, and it is watched on.",
    )
    significance: float = Field(
        default=0.001,
        gt=0,
        lt=1,
        description="How unlikely it must be that more server errors are chance, to be harm (Fisher's exact test).",
    )
    max_slowdown: float = Field(
        default=2.0,
        ge=0,
        description="How many times longer the 95th percentile of a route may take after a release; 0 for any.",
    )


class Config(Table):
    """`[tool.homeostasis]`."""

    service: str = Field(default="app", description="Name of the service in events and reports.")
    source: tuple[str, ...] = Field(
        default=(".",), description="Folders or files, relative to the project, that may be changed."
    )
    environment: str = Field(
        default="production",
        description="Where this orchestrator runs, for policy rules; the variable HOMEOSTASIS_ENVIRONMENT wins.",
    )
    app: str | None = Field(
        default=None, description="Import path of the WSGI or ASGI app: `shop:create_app()` or `main:app`."
    )
    python: str | None = Field(
        default=None, description="The app's interpreter; by default the one that the event names."
    )
    mode: Literal["observe", "propose", "auto"] = Field(
        default="propose",
        description="Only diagnose and validate; ask before deploying; or deploy what the policy allows.",
    )
    plugins: tuple[str, ...] = Field(
        default=DEFAULT_PLUGINS, description="Plugins that may be loaded: installing is not enabling."
    )
    monitoring: MonitoringTable = MonitoringTable()
    validation: ValidateTable = Field(default=ValidateTable(), alias="validate")
    deploy: DeployTable = DeployTable()
    policy: PolicyTable = PolicyTable()
    observe: ObserveTable = ObserveTable()
    plugin_tables: dict[str, dict[str, Any]] = Field(default_factory=dict, exclude=True)
    file: Path | None = Field(default=None, exclude=True)


TABLES: dict[str, type[Table]] = {
    "monitoring": MonitoringTable,
    "validate": ValidateTable,
    "deploy": DeployTable,
    "policy": PolicyTable,
    "observe": ObserveTable,
}
_INTERNAL = ("plugin_tables", "file")

SettingsT = TypeVar("SettingsT", bound=BaseModel)


def core_keys() -> list[str]:
    """The keys of `[tool.homeostasis]` itself, tables included."""
    return [field.alias or name for name, field in Config.model_fields.items() if name not in _INTERNAL]


def load_config(root: Path) -> Config:
    """Read and validate `[tool.homeostasis]` of `root/pyproject.toml`; defaults if there is none.

    Tables of other names belong to plugins and are kept for `check_plugin_tables`.

    Raises:
        ConfigError: the directory or TOML is bad, or a key or value is.
    """
    if not root.is_dir():
        raise ConfigError(f"{root} is not a directory: name the project's root with --project")
    file = root / "pyproject.toml"
    if not file.is_file():
        return Config(file=file)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    tool = document.get("tool", {})
    table = tool.get("homeostasis", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: tool.homeostasis must be a table")
    known = core_keys()
    plugin_tables = {key: value for key, value in table.items() if key not in known and isinstance(value, dict)}
    core = {key: value for key, value in table.items() if key not in plugin_tables}
    unknown = [key for key in core if key not in known]
    if unknown:
        raise ConfigError(_unknown_key("tool.homeostasis", unknown[0], known, file))
    config = validate_table(Config, core, "tool.homeostasis", file)
    return config.model_copy(update={"plugin_tables": plugin_tables, "file": file})


def validate_table(model: type[SettingsT], values: dict[str, Any], table: str, file: Path | None) -> SettingsT:
    """Validate one table.

    Raises:
        ConfigError: names the key, the file and the nearest valid key or what was expected.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(_sentence(first, model, table, file)) from error


def _sentence(problem: Any, model: type[BaseModel], table: str, file: Path | None) -> str:
    location = [str(part) for part in problem["loc"]]
    dotted = ".".join([table, *location])
    if problem["type"] == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        names = [field.alias or name for name, field in owner.model_fields.items() if name not in _INTERNAL]
        return _unknown_key(".".join([table, *location[:-1]]), location[-1], names, file)
    shown = repr(problem["input"])
    return f"{file}: {dotted} = {shown[:80]}: {problem['msg']}"


def _model_at(model: type[BaseModel], location: list[str]) -> type[BaseModel]:
    for part in location:
        for name, field in model.model_fields.items():
            if (
                part in (name, field.alias)
                and isinstance(field.annotation, type)
                and issubclass(field.annotation, BaseModel)
            ):
                model = field.annotation
    return model


def _unknown_key(table: str, key: str, known: list[str], file: Path | None) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys are {', '.join(sorted(known))}"
    return f"{file}: unknown key {key!r} in [{table}]: {hint}"
