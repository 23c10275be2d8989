"""Events that the rules analyze in a second, and what 10,000 rules cost compared with 100.

    python benchmarks/rules_index.py [--seconds 4] [--rounds 5] [--json]

The project holds up to 48 of the examples of the shipped rules, a file or two each. Of its events 30% are crashes in
those files, below six frames of a framework, each with other locals and another request than the one before; 20% are
exceptions that no rule knows, raised in the same files; 50% are such exceptions with frames of libraries only. The
events come in a fixed shuffled order, and each is analyzed with a `SourceTree` of its own, as the pipeline does: the
files are read and hashed anew each time. Trees that were parsed before are kept, as in a process that has run for a
minute; the time until then is printed as `cold`. The crashes alone are measured as well.

100 and 10,000 rules are the first 100 shipped ones, and the same with made-up ones: half of those are for exception
classes that never occur, the other half for the classes that do, each demanding a message of its own. Small and large
are measured in turn, and the median of the ratios of neighbours is printed. One process, one thread.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator, List, Sequence

from monitoring.machine import heading, machine

from homeostasis.config import Config
from homeostasis.models import Event, Frame, Incident, Raised, Span
from homeostasis.project import Project
from homeostasis.rules import Rule
from homeostasis.source import SourceTree
from homeostasis_rules_python.analyze import diagnose
from homeostasis_rules_python.catalog import shipped_rules
from homeostasis_rules_python.example_event import example_event
from homeostasis_rules_python.matching import RuleIndex

FILES = 48
TARGET_EVENTS = 2000
TARGET_RATIO = 1.5
STRANGER = "Timeout"
KNOWN = ("KeyError", "TypeError", "AttributeError", "ValueError", "IndexError")


def main() -> None:
    options = _options()
    where = machine()
    with tempfile.TemporaryDirectory(prefix="homeostasis-rules-index-") as directory:
        project = Project(root=Path(directory).resolve(), config=Config())
        incidents = [_incident(event) for event in _mix(project.root)]
        shipped = list(shipped_rules())
        index = RuleIndex(shipped)
        cold = _seconds(project, incidents, index)
        rate = statistics.median(_rate(project, incidents, index, options.seconds) for _ in range(options.rounds))
        crashes = [incident for incident in incidents if not incident.event.raised.type.startswith(STRANGER)]
        crash_rate = _rate(project, crashes, index, options.seconds)
        small, large = RuleIndex(_padded(shipped, 100)), RuleIndex(_padded(shipped, 10_000))
        ratios = []
        for number in range(options.rounds):
            order = (small, large) if number % 2 else (large, small)
            spent = {id(one): 1 / _rate(project, incidents, one, options.seconds / 2) for one in order}
            ratios.append(spent[id(large)] / spent[id(small)])
    result = {
        "machine": where,
        "rules": len(shipped),
        "events": len(incidents),
        "cold_seconds": round(cold, 2),
        "events_per_second": round(rate),
        "crashes_per_second": round(crash_rate),
        "ratio_10000_to_100": round(statistics.median(ratios), 2),
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(heading(where))
    print(f"{result['events']} events, cold: {cold:.2f} s")
    print(f"{len(shipped)} shipped rules, warm: {rate:,.0f} events/s (aim: {TARGET_EVENTS:,})")
    print(f"crashes in the app's files alone: {crash_rate:,.0f} events/s")
    print(f"10,000 rules take {result['ratio_10000_to_100']} times as long as 100 (aim: {TARGET_RATIO})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _incident(event: Event) -> Incident:
    return Incident(id="i", fingerprint=event.fingerprint, service="app", event=event, first_seen=0.0, last_seen=0.0)


def _mix(root: Path) -> List[Event]:
    """All events, shuffled the same way each time."""
    crashes = list(_crashes(root))
    frames = [event.raised.frames for event in crashes]
    strangers = [_stranger(number, frames[number % len(frames)]) for number in range(len(crashes) * 2 // 3)]
    foreign = [_stranger(number, ()) for number in range(len(crashes) * 5 // 3)]
    events = [*crashes, *strangers, *foreign]
    random.Random(1).shuffle(events)
    return events


def _crashes(root: Path) -> Iterator[Event]:
    examples = [example for rule in shipped_rules() for example in rule.examples]
    step = len(examples) // FILES + 1
    for number, example in enumerate(examples[::step]):
        folder = root / f"case{number}"
        folder.mkdir()
        first = example_event(example.input, folder)
        for variant in range(8):
            request = first.request
            if request is not None:
                request = request.model_copy(update={"headers": (("x-request-id", str(variant)),)})
            innermost = first.raised.frames[-1]
            extra = first.raised.frames[-1].locals | {"trace": innermost.locals.get("trace", _text(str(variant)))}
            own = (*first.raised.frames[:-1], innermost.model_copy(update={"locals": extra}))
            frames = (*_library_frames(6), *own)
            raised = first.raised.model_copy(update={"frames": frames, "notes": (str(variant),)})
            update = {"exceptions": (raised,), "request": request, "id": f"{number}-{variant}"}
            yield first.model_copy(update=update)


def _text(value: str) -> Any:
    from homeostasis_rules_python.example_event import example_value

    return example_value(value)


def _stranger(number: int, app_frames: Sequence[Frame]) -> Event:
    """An exception of a class that no rule knows."""
    message = f"job {number} took too long"
    raised = Raised(
        type=f"{STRANGER}{number % 7}", module="lib", message=message, frames=(*app_frames, *_library_frames(12))
    )
    return Event(id=f"s{number}", timestamp=0.0, fingerprint="0" * 16, exceptions=(raised,))


def _library_frames(count: int) -> Sequence[Frame]:
    return tuple(
        Frame(path=f"/usr/lib/python3/site-packages/lib{depth}.py", function="call", span=Span(line=depth + 1))
        for depth in range(count)
    )


def _padded(shipped: Sequence[Rule], count: int) -> List[Rule]:
    """At most 100 of the shipped rules, the rest made up, `count` together."""
    real = shipped[:100]
    return [*real, *(_made_up(number) for number in range(count - len(real)))]


def _made_up(number: int) -> Rule:
    kind = KNOWN[number // 2 % len(KNOWN)] if number % 2 else f"Unheard{number}"
    condition = {
        "all": [
            {"field": "exception.type", "equals": kind},
            {"field": "exception.message", "contains": f"made-up {number}"},
        ]
    }
    return Rule.model_validate(
        {
            "rule_id": f"made-up-{number}",
            "description": "made up",
            "pattern": {"type": "condition", "value": condition},
            "fix": {"refactor": "copy-iterable"},
        }
    )


def _seconds(project: Project, incidents: Sequence[Incident], index: RuleIndex) -> float:
    started = time.perf_counter()
    for incident in incidents:
        diagnose(incident, SourceTree(project), index)
    return time.perf_counter() - started


def _rate(project: Project, incidents: Sequence[Incident], index: RuleIndex, seconds: float) -> float:
    """Events in a second of processor time, over whole rounds of all events."""
    done, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        _seconds(project, incidents, index)
        done += len(incidents)
    return done / (time.process_time() - started)


if __name__ == "__main__":
    main()
