"""What the monitoring benchmarks share: the machine they ran on, and running a command in a fresh interpreter."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple

MEASURED = ("flask", "fastapi", "sentry-sdk", "opentelemetry-sdk", "opentelemetry-instrumentation", "gunicorn")


class Spent(NamedTuple):
    """What a process cost."""

    milliseconds: float
    """Of processor time, user and system."""
    megabytes: float
    """Resident at the end."""


_TELL = """
import time
spent = time.process_time() * 1e3
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]
print(spent, resident)
"""


def machine() -> Dict[str, Any]:
    """What it was measured on, and with which versions."""
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version for name in MEASURED if (version := _version(name))},
    }


def heading(where: Mapping[str, Any]) -> str:
    """The machine in two lines."""
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    return (
        f"Python {where['python']}, {where['cores']} cores ({where['processor']}), load {where['load']}, "
        f"{where['system']}\n{versions}"
    )


def environment(**variables: str) -> Dict[str, str]:
    """The environment of what is measured: bytecode is cached, as it is in production."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key != "PYTHONDONTWRITEBYTECODE" and not key.startswith(("HOMEOSTASIS_", "OTEL_", "SENTRY_"))
    }
    return {**inherited, **variables}


def run(script: str, directory: Path) -> Spent:
    """Run a script in a fresh interpreter, and have it tell what it has cost.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-c", f"{script}\n{_TELL}"]
    done = subprocess.run(command, cwd=str(directory), env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    milliseconds, kilobytes = done.stdout.split()
    return Spent(float(milliseconds), int(kilobytes) / 1024)


def resident_megabytes() -> float:
    """Of this process, now."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def medians(rows: Iterable[Mapping[str, float]]) -> Dict[str, float]:
    """The median of each key over all rows that have it."""
    values: Dict[str, List[float]] = {}
    for row in rows:
        for key, value in row.items():
            values.setdefault(key, []).append(value)
    return {key: statistics.median(found) for key, found in values.items()}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
