from __future__ import annotations

import subprocess
import sys


def test_monitoring_imports_the_standard_library_only() -> None:
    """An app that has nothing but core installed can import monitoring, and no third-party module is loaded by it."""
    script = """
import sys
before = set(sys.modules)
import homeostasis.monitoring
from homeostasis.monitoring import HomeostasisMiddleware, capture_exception, setup_monitoring
import homeostasis.monitoring.encode, homeostasis.monitoring.workers
loaded = {name.partition('.')[0] for name in set(sys.modules) - before}
known = getattr(sys, 'stdlib_module_names', None)
files = {name: getattr(sys.modules.get(name), '__file__', None) or '' for name in loaded}
foreign = [n for n in loaded - {'homeostasis'} if 'site-packages' in files[n] or (known and n not in known and not n.startswith('_'))]
print(sorted(foreign))
print(sorted({'pydantic', 'pluggy', 'asyncio.base_events', 'importlib.metadata'} & set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    foreign, heavy = done.stdout.splitlines()
    assert foreign == "[]"
    assert heavy == "[]"
