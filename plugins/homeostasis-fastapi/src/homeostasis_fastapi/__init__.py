"""Homeostasis in FastAPI and Starlette apps: `app.add_middleware(HomeostasisMiddleware, config={...})`.

`homeostasis.monitoring.HomeostasisMiddleware` is the same class: it finds this package by its entry point.
"""

from __future__ import annotations

from homeostasis.monitoring import HomeostasisMiddleware, capture_exception, setup_monitoring

__all__ = ["HomeostasisMiddleware", "__version__", "capture_exception", "setup_monitoring"]
__version__ = "0.1.0"
