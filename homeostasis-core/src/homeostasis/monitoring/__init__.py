"""The side of Homeostasis that runs inside the app: it needs the standard library only and never hurts its host.

Flask, and any other WSGI or ASGI app::

    from homeostasis.monitoring import setup_monitoring

    setup_monitoring(app, config={"exclude_error_types": ["BusinessLogicError"]})

FastAPI and Starlette::

    from homeostasis.monitoring import HomeostasisMiddleware

    app.add_middleware(HomeostasisMiddleware, config={})

A script or a worker without a web framework calls `setup_monitoring()`. The keys of `config` are those of
`[tool.homeostasis.monitoring]`; see `homeostasis.monitoring.config.Settings`.
"""

from __future__ import annotations

from homeostasis.monitoring.asgi import HomeostasisMiddleware
from homeostasis.monitoring.install import capture_exception, setup_monitoring

__all__ = ["HomeostasisMiddleware", "capture_exception", "setup_monitoring"]
