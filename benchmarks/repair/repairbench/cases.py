"""The cases: read from `cases/*.toml`, and from `cases/mutants.json` with the code in `subjects/`.

A probe is a string. With an app, each of its lines is a request, `METHOD /path?query BODY`; the answer to the last one
counts. Without one it is Python: statements, the last an expression whose value counts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

from homeostasis.toml import tomllib
from repairbench.mutation import Mutation

HERE = Path(__file__).resolve().parents[1]
CASES, SUBJECTS = HERE / "cases", HERE / "subjects"
CLASSES = ("key/index", "api-validation", "database", "configuration", "runtime", "upgrade")
KINDS = ("package", "app", "mutant")
DEV, SEALED = "dev", "sealed"


@dataclass(frozen=True)
class Code:
    """A source tree: files of a subject, or what a distribution installs."""

    directory: Path | None = None
    """The subject's folder."""
    distribution: str | None = None
    """`name==version`, for code that is taken from the package index."""
    modules: tuple[str, ...] = ()
    """Top-level files and folders that are the project's source."""
    requirements: tuple[str, ...] = ()
    """What must be installed beside it."""
    python: str = "3.11"


@dataclass(frozen=True)
class Case:
    """One crash, and how a right repair behaves."""

    id: str
    kind: str
    crash_class: str
    source: Mapping[str, str]
    """Where it comes from: package, versions, link, or subject and mutation."""
    code: Code
    app: str | None
    """Import path of the WSGI or ASGI app, if the probes are requests."""
    setup: str
    """Python that is executed before every probe that is a call."""
    trigger: str
    held: tuple[str, ...]
    """Probes that the crash spoils; the trigger is one of them. They decide *correct*."""
    healthy: tuple[str, ...]
    """Probes that hold with and without the bug. They decide *plausible*."""
    traffic: tuple[str, ...] = ()
    """Those of the healthy probes that the healer sees, as an app's recorded traffic."""
    expected: Mapping[str, Any] = field(default_factory=dict)
    """Outcome of each probe on the reference; of a mutant it is found by running the unmutated code."""
    mutation: Mutation | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files of the project that are no part of its source, such as one that makes the app."""

    @property
    def half(self) -> str:
        """`dev`, or `sealed`: reported in aggregate only."""
        return half_of(self.id)

    @property
    def probes(self) -> tuple[str, ...]:
        """All probes, each once, the trigger first."""
        return tuple(dict.fromkeys((self.trigger, *self.held, *self.healthy)))


def half_of(identifier: str) -> str:
    """The half that a case belongs to, by the last bit of the SHA-256 of its id."""
    return SEALED if hashlib.sha256(identifier.encode()).digest()[-1] % 2 else DEV


class BadCase(ValueError):
    """A case that says something impossible; names the file and the key."""


def load_cases() -> list[Case]:
    """All cases, in the order of their ids.

    Raises:
        BadCase: one is malformed.
    """
    found = [read_case(path) for path in sorted(CASES.glob("*.toml"))]
    mutants = CASES / "mutants.json"
    if mutants.is_file():
        subjects: dict[str, Subject] = {}
        for entry in json.loads(mutants.read_text("utf-8")):
            name = entry["subject"]
            subjects.setdefault(name, read_subject(name))
            found.append(_mutant(entry, subjects[name]))
    return sorted(found, key=lambda case: case.id)


def read_case(path: Path) -> Case:
    """A case of a released package or app.

    Raises:
        BadCase: a key is missing, unknown or impossible.
    """
    values = tomllib.loads(path.read_text("utf-8"))
    required = {"class", "kind", "package", "buggy", "link", "modules", "trigger", "probe"}
    known = required | {"fixed", "setup", "app", "requirements", "python", "note", "files"}
    _check_keys(path, values, required, known)
    held, healthy, traffic, expected = [], [], [], {}
    for probe in values["probe"]:
        _check_keys(path, probe, {"run", "expect"}, {"run", "expect", "kind", "traffic"})
        kind = probe.get("kind", "healthy")
        if kind not in ("held", "healthy"):
            raise BadCase(f"{path.name}: kind of a probe is {kind!r}; it is held or healthy")
        (held if kind == "held" else healthy).append(probe["run"])
        if probe.get("traffic"):
            traffic.append(probe["run"])
        expected[probe["run"]] = json.loads(probe["expect"])
    if values["trigger"] not in held:
        raise BadCase(f"{path.name}: the trigger is none of the held probes")
    if values["class"] not in CLASSES or values["kind"] not in ("package", "app"):
        raise BadCase(f"{path.name}: class {values['class']!r} or kind {values['kind']!r} is unknown")
    if values["kind"] == "package" and "fixed" not in values:
        raise BadCase(f"{path.name}: the case of a package names the fixed version")
    code = Code(
        distribution=f"{values['package']}=={values['buggy']}",
        modules=tuple(values["modules"]),
        requirements=tuple(values.get("requirements", ())),
        python=values.get("python", "3.11"),
    )
    source = {key: values[key] for key in ("package", "buggy", "fixed", "link", "note") if key in values}
    return Case(
        id=f"{values['kind']}/{path.stem}",
        kind=values["kind"],
        crash_class=values["class"],
        source=source,
        code=code,
        app=values.get("app"),
        setup=values.get("setup", ""),
        trigger=values["trigger"],
        held=tuple(held),
        healthy=tuple(healthy),
        traffic=tuple(traffic),
        expected=expected,
        files=values.get("files", {}),
    )


@dataclass(frozen=True)
class Subject:
    """Sound code with probes; mutants of it are cases."""

    name: str
    code: Code
    app: str | None
    setup: str
    probes: tuple[str, ...]
    traffic: tuple[str, ...]
    mutated: tuple[str, ...]
    """Files that are mutated, relative to the project."""
    classes: Mapping[str, str]
    """Class of the crashes in a file, where the exception does not tell."""
    operators: tuple[str, ...] = ()
    """Rare operators that are used too."""


def read_subject(name: str) -> Subject:
    """The subject of that name.

    Raises:
        BadCase: a key is missing or unknown.
    """
    path = SUBJECTS / name / "subject.toml"
    values = tomllib.loads(path.read_text("utf-8"))
    required = {"modules", "probes", "mutated"}
    known = required | {"app", "setup", "traffic", "requirements", "distribution", "classes", "python", "operators"}
    _check_keys(path, values, required, known)
    distribution = values.get("distribution")
    code = Code(
        directory=None if distribution else path.parent,
        distribution=distribution,
        modules=tuple(values["modules"]),
        requirements=tuple(values.get("requirements", ())),
        python=values.get("python", "3.11"),
    )
    traffic = tuple(values.get("traffic", ()))
    return Subject(
        name=name,
        code=code,
        app=values.get("app"),
        setup=values.get("setup", ""),
        probes=tuple(dict.fromkeys((*traffic, *values["probes"]))),
        traffic=traffic,
        mutated=tuple(values["mutated"]),
        classes=values.get("classes", {}),
        operators=tuple(values.get("operators", ())),
    )


def _mutant(entry: Mapping[str, Any], subject: Subject) -> Case:
    mutation = Mutation(entry["operator"], entry["path"], entry["function"], entry["occurrence"])
    spoilt = [subject.probes[number] for number in entry["held"]]
    healthy = tuple(probe for probe in subject.probes if probe not in spoilt)
    return Case(
        id=entry["id"],
        kind="mutant",
        crash_class=entry["class"],
        source={"subject": subject.name, "operator": mutation.operator, "path": mutation.path},
        code=subject.code,
        app=subject.app,
        setup=subject.setup,
        trigger=spoilt[0],
        held=tuple(spoilt),
        healthy=healthy,
        traffic=tuple(probe for probe in subject.traffic if probe in healthy),
        mutation=mutation,
    )


def _check_keys(path: Path, values: Mapping[str, Any], required: set[str], known: set[str]) -> None:
    missing, unknown = sorted(required - set(values)), sorted(set(values) - known)
    if missing:
        raise BadCase(f"{path.name}: {missing[0]} is missing")
    if unknown:
        raise BadCase(f"{path.name}: unknown key {unknown[0]!r}")


def select(
    cases: Sequence[Case], half: str, crash_class: str | None, ids: Sequence[str], kind: str | None
) -> list[Case]:
    """The cases that were asked for; an id may be shortened to its beginning."""
    return [
        case
        for case in cases
        if (half == "all" or case.half == half)
        and (crash_class is None or case.crash_class == crash_class)
        and (kind is None or case.kind == kind)
        and (not ids or any(case.id.startswith(wanted) for wanted in ids))
    ]
