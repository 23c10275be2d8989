"""A crash loop of a million errors in one process: what it costs, and what is lost.

    python benchmarks/monitoring_storm.py [--errors 1000000] [--json]

The errors come from ten places in turn, each with a message and values of its own, as in an app whose database is gone.
Printed are the growth of the resident memory after the first thousand, the size of the spool and its cap, how many
errors were counted and how many places captured whole, and the processor time per error. Ends with 1 if an error was
not counted, a place was not captured, the memory grew by 20 MB, or the spool beyond its cap.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

from monitoring.machine import heading, machine, resident_megabytes
from monitoring.storm import PLACES, crash, records_in

MAX_GROWTH_MB = 20.0
SPOOL_BYTES = 1024 * 1024


def storm(errors: int, directory: Path) -> Dict[str, Any]:
    """Raise and capture the errors in this process."""
    from homeostasis.monitoring import capture_exception, setup_monitoring
    from homeostasis.monitoring.client import current

    (directory / "pyproject.toml").write_text("[tool.homeostasis]\n", "utf-8")
    setup_monitoring(config={"project": str(directory), "max_spool_bytes": SPOOL_BYTES})
    warm = min(1000, errors // 10)
    _loop(0, warm, capture_exception)
    before = resident_megabytes()
    started = time.process_time()
    _loop(warm, errors, capture_exception)
    spent = time.process_time() - started
    client = current()
    assert client is not None
    client.flush(30)
    after = resident_megabytes()
    client.close()
    return {"growth MB": after - before, "µs per error": spent / (errors - warm) * 1e6, **read(directory)}


def _loop(first: int, last: int, report: Any) -> None:
    for number in range(first, last):
        try:
            crash(number)
        except LookupError as error:
            report(error)


def read(directory: Path) -> Dict[str, Any]:
    """What the spool tells."""
    records = records_in(directory)
    events = [record for record in records if record["record"] == "event"]
    recurrences = sum(record["count"] for record in records if record["record"] == "recurrence")
    lost: List[Dict[str, Any]] = [record for record in records if record["record"] == "lost"]
    return {
        "counted": len(events) + recurrences,
        "captured whole": len({event["fingerprint"] for event in events}),
        "lost": {record["reason"]: record["count"] for record in lost},
        "spool MB": sum(file.stat().st_size for file in directory.glob(".homeostasis/spool/*")) / 2**20,
        "cap MB": SPOOL_BYTES / 2**20,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--errors", type=int, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as name:
        found = storm(options.errors, Path(name).resolve())
    good = (
        found["counted"] == options.errors
        and found["captured whole"] == PLACES
        and found["growth MB"] < MAX_GROWTH_MB
        and found["spool MB"] <= found["cap MB"]
    )
    if options.json:
        print(json.dumps({"machine": machine(), "errors": options.errors, "good": good, **found}, indent=2))
    else:
        print(heading(machine()))
        print(f"{options.errors} errors from {PLACES} places: {'nothing was lost' if good else 'NOT AS PROMISED'}")
        for key, value in found.items():
            print(f"{key:15} {value if not isinstance(value, float) else format(value, '.2f')}")
        print(f"\n{for_the_docs(options.errors, found)}")
    return 0 if good else 1


def for_the_docs(errors: int, found: Dict[str, Any]) -> str:
    """What `docs/explanation/overhead.md` says of it."""
    return (
        f"- A crash loop of {errors:,} errors from {PLACES} places took {found['µs per error']:.0f} µs an error. "
        f"The memory grew by {found['growth MB']:.1f} MB, the spool holds {found['spool MB']:.2f} MB, "
        f"{found['counted']:,} errors were counted, and {found['captured whole']} of the places captured whole."
    )


if __name__ == "__main__":
    sys.exit(main())
