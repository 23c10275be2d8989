"""Measure how many crashes are repaired, and how many of them right.

    python benchmarks/repair/run.py --half dev --jobs 2 --json results.json

Each case is prepared in a directory of its own, crashed, healed with the installed rules in mode `auto` and judged by
tests that the healer does not see. Environments are kept in `HOMEOSTASIS_REPAIR_CACHE` (default: below the user's cache
directory). What this machine cannot run is counted as not run. Of the sealed half only sums are printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from repairbench import documents, tables
from repairbench.cases import CLASSES, DEV, KINDS, SEALED, Case, load_cases, select
from repairbench.running import Result, homeostasis, run_case


def main() -> int:
    """Run, print and write what was asked for."""
    options = _options()
    cases = select(load_cases(), options.half, options.crash_class, options.case, options.kind)
    if not cases:
        sys.stderr.write("no case fits\n")
        return 2
    known = _known(options.resume) if options.resume else {}
    results = run_all(cases, options.jobs, known, diffs=bool(options.case))
    print(tables.summary(results))
    if options.json:
        document = {"cases": [one.as_dict() for one in results]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if options.write_docs:
        if len(results) < len(cases) or options.half != "all" or options.case or options.crash_class or options.kind:
            sys.stderr.write("the page is only written from a whole run over all cases\n")
            return 2
        found = json.loads(options.baselines.read_text("utf-8")) if options.baselines else None
        documents.write(results, found)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--half", choices=(DEV, SEALED, "all"), default="all")
    parser.add_argument("--class", dest="crash_class", choices=CLASSES)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--case", action="append", default=[], metavar="ID", help="only ids that begin so; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results; of the sealed half, no code")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="take over the results that --json wrote before")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cases at the same time (default 1)")
    parser.add_argument("--write-docs", action="store_true", help="update docs/explanation/repair-rate.md")
    parser.add_argument("--baselines", type=Path, metavar="FILE", help="what baselines.py wrote, for --write-docs")
    return parser.parse_args()


def _known(file: Path) -> dict[str, Result]:
    """The results of an earlier run, without what was not run."""
    found = [Result(**entry) for entry in json.loads(file.read_text("utf-8"))["cases"]]
    return {one.id: one for one in found if one.not_run is None}


def run_all(cases: list[Case], jobs: int, known: dict[str, Result], *, diffs: bool) -> list[Result]:
    """The results in the order of the cases; after Ctrl-C, those that are there.

    Args:
        cases: what is run.
        jobs: how many at the same time.
        known: results by id that are taken as they are.
        diffs: show the patches of the development half.
    """
    found = {case.id: known[case.id] for case in cases if case.id in known}
    missing = [case for case in cases if case.id not in found]
    pool = ThreadPoolExecutor(jobs)
    futures: list[Future[Result]] = [pool.submit(run_case, case, homeostasis) for case in missing]
    try:
        for number, future in enumerate(as_completed(futures), 1):
            result = future.result()
            found[result.id] = result
            _progress(number, len(missing), result, diffs=diffs)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: this is what is there\n")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [found[case.id] for case in cases if case.id in found]


def _progress(number: int, count: int, result: Result, *, diffs: bool) -> None:
    shown = result.half == DEV
    if result.not_run is not None:
        said = f"not run: {result.not_run}"
    elif not shown:
        said = "done"
    else:
        said = "correct" if result.correct else f"{documents.stage(result)}: {documents.why(result)}"
    sys.stderr.write(f"[{number}/{count}] {result.id if shown else '(sealed)'} {said}\n")
    if shown and diffs and result.diff:
        sys.stderr.write(result.diff)


if __name__ == "__main__":
    sys.exit(main())
