"""Facts about the failing code, one module per kind of error; rules read them as `node.*` and `extraction.*`."""

from __future__ import annotations

from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.extraction import extract

__all__ = ["Facts", "extract"]
