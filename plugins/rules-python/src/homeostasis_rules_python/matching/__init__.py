"""Deciding which rules match an event."""

from __future__ import annotations

from homeostasis_rules_python.matching.compiled import CompiledRule
from homeostasis_rules_python.matching.evaluate import Judgement, judge
from homeostasis_rules_python.matching.index import RuleIndex
from homeostasis_rules_python.matching.view import View

__all__ = ["CompiledRule", "Judgement", "RuleIndex", "View", "judge"]
