"""Write `cases/mutants.json` anew: all mutants of the subjects that crash, thinned out evenly.

    python benchmarks/repair/make_mutants.py [SUBJECT ...]

The same subjects give the same file. A mutant is kept if a probe crashes on it that does not crash on the sound code.
Of those that crash in the same way in the same function one is kept, of each operator in a subject `PER_OPERATOR`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from repairbench.cases import CASES, SUBJECTS, Case, Subject, read_subject
from repairbench.environments import NotRun, prepare
from repairbench.judging import agrees, is_crash
from repairbench.mutation import Mutation, mutations
from repairbench.operators import RARE
from repairbench.running import make_project, probe

PER_OPERATOR = 3
MOST = 13
"""Mutants of one subject."""
DATABASE = ("sqlite3.", "sqlalchemy.")
LOOKUP = ("KeyError", "IndexError", "StopIteration")
TOO_MUCH = 0.9
"""A mutant on which a larger share of the probes crash than this does not get past its first start."""


def of_subject(name: str) -> list[dict[str, Any]]:
    """The kept mutants of one subject."""
    subject = read_subject(name)
    prepared = prepare(subject.code)
    sound = _case(subject, None)
    root = make_project(sound, prepared)
    reference = probe(sound, root, prepared.python, subject.probes)
    again = probe(sound, root, prepared.python, subject.probes)
    unsteady = [one for one in subject.probes if reference[one] != again[one]]
    broken = [one for one in subject.probes if subject.app and is_crash(reference[one])]
    if unsteady or broken:
        raise SystemExit(f"{name}: unsteady {unsteady}, broken {[(one, reference[one]) for one in broken]}")
    entries = []
    for path in subject.mutated:
        text = (root / path).read_text("utf-8")
        for mutation, _ in mutations(text, path):
            if mutation.operator in RARE and mutation.operator not in subject.operators:
                continue
            entry = _try(subject, mutation, prepared, reference)
            if entry:
                entries.append(entry)
    shutil.rmtree(root)
    return _thinned(entries)


def _case(subject: Subject, mutation: Mutation | None) -> Case:
    first = subject.probes[0]
    return Case("", "mutant", "", {}, subject.code, subject.app, subject.setup, first, (), (), mutation=mutation)


def _try(subject: Subject, mutation: Mutation, prepared: Any, reference: dict[str, Any]) -> dict[str, Any] | None:
    case = _case(subject, mutation)
    root = make_project(case, prepared)
    try:
        found = probe(case, root, prepared.python, subject.probes)
        spoilt = [number for number, one in enumerate(subject.probes) if not agrees(reference[one], found[one])]
        results = [found[one] for one in subject.probes]
        crashing = [number for number in spoilt if is_crash(results[number]) and "timeout" not in results[number]]
        if not crashing or len(spoilt) > TOO_MUCH * len(subject.probes):
            return None
        trigger = crashing[0]
        kind = probe(case, root, prepared.python, [subject.probes[trigger]], propagate=True)[subject.probes[trigger]]
    except NotRun:
        return None
    finally:
        shutil.rmtree(root)
    exception = kind.get("raises", "")
    stem = mutation.path.rpartition("/")[2].partition(".")[0]
    return {
        "id": f"mutant/{subject.name}/{stem}.{mutation.function}/{mutation.operator}-{mutation.occurrence}",
        "class": _class(subject, mutation, subject.probes[trigger], exception),
        "subject": subject.name,
        "operator": mutation.operator,
        "path": mutation.path,
        "function": mutation.function,
        "occurrence": mutation.occurrence,
        "exception": exception,
        "held": [trigger, *(number for number in spoilt if number != trigger)],
    }


def _class(subject: Subject, mutation: Mutation, trigger: str, exception: str) -> str:
    if mutation.path in subject.classes:
        return subject.classes[mutation.path]
    if exception.startswith(DATABASE):
        return "database"
    if exception in LOOKUP:
        return "key/index"
    line = trigger.splitlines()[-1]
    takes_input = "?" in line or line.startswith(("POST", "PUT", "PATCH"))
    return "api-validation" if subject.app and takes_input else "runtime"


def _thinned(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    entries.sort(key=lambda entry: hashlib.sha256(entry["id"].encode()).hexdigest())
    kept: list[dict[str, Any]] = []
    operators: Counter[str] = Counter()
    ways = set()
    for entry in entries:
        way = (entry["path"], entry["function"], entry["exception"], entry["held"][0])
        if way in ways or operators[entry["operator"]] >= PER_OPERATOR or len(kept) >= MOST:
            continue
        ways.add(way)
        operators[entry["operator"]] += 1
        kept.append(entry)
    return kept


def main() -> None:
    """Write the file, or only the parts of the subjects that are named."""
    names = sys.argv[1:] or sorted(path.parent.name for path in SUBJECTS.glob("*/subject.toml"))
    file = CASES / "mutants.json"
    known = json.loads(file.read_text("utf-8")) if file.is_file() else []
    entries = [entry for entry in known if entry["subject"] not in names]
    with ThreadPoolExecutor(2) as pool:
        for name, made in zip(names, pool.map(of_subject, names)):
            print(f"{name}: {len(made)} mutants", flush=True)
            entries += made
    entries.sort(key=lambda entry: entry["id"])
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    file.write_text(f"[\n{lines}\n]\n", "utf-8")
    print(f"{len(entries)} mutants in {file}")


if __name__ == "__main__":
    main()
