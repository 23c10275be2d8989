"""Homeostasis in Flask apps: `setup_monitoring(app, config={...})`.

`homeostasis.monitoring.setup_monitoring` is the same function: it finds this package by its entry point.
"""

from __future__ import annotations

from homeostasis.monitoring import capture_exception, setup_monitoring

__all__ = ["__version__", "capture_exception", "setup_monitoring"]
__version__ = "0.1.0"
