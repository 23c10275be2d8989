"""Check the cases of released packages against both versions, and add new ones.

    python benchmarks/repair/verify.py [ID ...]         the stored expectations still hold
    python benchmarks/repair/verify.py --add DRAFTS     make cases from drafts, a TOML file of [[case]] tables

A draft has the keys of a case, `name`, and `probes` in the place of `[[probe]]`. The trigger must crash on the buggy
version and behave otherwise on the fixed one. What the other probes are for is found by running them: those that differ
between the versions are held, the others are healthy. The outcomes on the fixed version are stored.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

sys.path.insert(0, str(Path(__file__).resolve().parent))

from repairbench.cases import CASES, Case, Code, load_cases
from repairbench.environments import NotRun, prepare
from repairbench.judging import agrees, is_crash
from repairbench.running import make_project, probe

from homeostasis.toml import tomllib

KEYS = (
    "class",
    "kind",
    "package",
    "buggy",
    "fixed",
    "link",
    "note",
    "modules",
    "requirements",
    "python",
    "app",
    "setup",
)


def outcomes(case: Case, version: str) -> dict[str, Any]:
    """What all probes show on a version of the package."""
    name = (case.code.distribution or "").partition("==")[0]
    code = replace(case.code, distribution=f"{name}=={version}")
    prepared = prepare(code)
    root = make_project(replace(case, code=code), prepared)
    try:
        return probe(case, root, prepared.python, case.probes)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def problem_of(case: Case) -> str | None:
    """What is wrong with a stored case, if anything is."""
    buggy = outcomes(case, case.source["buggy"])
    if not is_crash(buggy[case.trigger]):
        return f"the trigger does not crash: {buggy[case.trigger]}"
    for one in case.healthy:
        if not agrees(case.expected[one], buggy[one]):
            return f"a healthy probe fails on the buggy version: {one!r}: {buggy[one]}"
    if "fixed" in case.source:
        fixed = outcomes(case, case.source["fixed"])
        for one in case.probes:
            if not agrees(case.expected[one], fixed[one]):
                return f"{one!r} is {fixed[one]} on the fixed version, not {case.expected[one]}"
    return None


def add(draft: Mapping[str, Any]) -> str:
    """Write a case from a draft; says what was found."""
    code = Code(
        distribution=f"{draft['package']}=={draft['buggy']}",
        modules=tuple(draft["modules"]),
        requirements=tuple(draft.get("requirements", ())),
        python=draft.get("python", "3.11"),
    )
    trigger, probes = draft["trigger"].strip(), tuple(one.strip() for one in draft.get("probes", ()))
    case = Case("", "package", "", {}, code, draft.get("app"), draft.get("setup", ""), trigger, (), probes)
    case = replace(case, files=draft.get("files", {}))
    buggy = outcomes(case, draft["buggy"])
    if not is_crash(buggy[trigger]):
        return f"no crash: {buggy[trigger]}"
    if "fixed" in draft:
        expected = outcomes(case, draft["fixed"])
    else:
        right = {"status_in": draft["expect_status"]}
        expected = {one: right if is_crash(buggy[one]) else _by_status(buggy[one]) for one in case.probes}
    if agrees(expected[trigger], buggy[trigger]):
        return f"not fixed: {buggy[trigger]}"
    lines = [f"{key} = {_toml(draft[key])}" for key in KEYS if key in draft]
    lines.append(f"trigger = {_toml(trigger)}")
    for one in case.probes:
        kind = "healthy" if agrees(expected[one], buggy[one]) else "held"
        lines += ["", "[[probe]]", f"run = {_toml(one)}", f"expect = {_toml(json.dumps(expected[one]))}"]
        lines.append(f'kind = "{kind}"')
        if kind == "healthy" and one in draft.get("traffic", ()):
            lines.append("traffic = true")
    if "files" in draft:
        lines += ["", "[files]", *(f"{_toml(name)} = {_toml(content)}" for name, content in draft["files"].items())]
    (CASES / f"{draft['name']}.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return f"added: {buggy[trigger]} becomes {str(expected[trigger])[:100]}"


def _by_status(outcome: dict[str, Any]) -> dict[str, Any]:
    """An outcome of an app; a page that is no JSON may hold times and paths, so only its status counts."""
    return {"status_in": [outcome["status"]]} if isinstance(outcome.get("body"), str) else outcome


def _toml(value: Any) -> str:
    """A string or a list of strings as TOML; JSON's strings are TOML's."""
    if isinstance(value, str) and "\n" in value and "'''" not in value and "\\" not in value:
        return f"'''\n{value.strip()}\n'''" if not value.startswith(" ") else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def main() -> int:
    """Check or add."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("ids", nargs="*", metavar="ID", help="only ids that begin so")
    parser.add_argument("--add", type=Path, metavar="DRAFTS")
    options = parser.parse_args()
    bad = 0
    if options.add:
        for draft in tomllib.loads(options.add.read_text("utf-8"))["case"]:
            try:
                said = add(draft)
            except (NotRun, KeyError) as reason:
                said = f"not run: {reason!r}"
            print(f"{draft['name']}: {said}", flush=True)
        return 0
    for case in load_cases():
        if case.kind == "mutant" or (options.ids and not any(case.id.startswith(one) for one in options.ids)):
            continue
        try:
            problem = problem_of(case)
        except NotRun as reason:
            problem = f"not run: {reason}"
        bad += problem is not None
        print(f"{case.id}: {problem or 'holds'}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
