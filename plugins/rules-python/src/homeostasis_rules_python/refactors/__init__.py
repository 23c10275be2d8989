"""Refactors: plain classes that make a change, found by the id that a rule names.

A package of its own adds one with `@register` from this module, imported by its plugin module.
"""

from __future__ import annotations

from homeostasis_rules_python.refactors.base import Change, Refactor, refactor, refactor_ids, register

__all__ = ["Change", "Refactor", "refactor", "refactor_ids", "register"]
