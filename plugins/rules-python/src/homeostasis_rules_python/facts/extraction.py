"""Choosing the extractor for an error.

Each module of this package registers its extractors with `@extracts("OSError")`; all are imported when the first error
is looked at.
"""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module
from typing import Tuple

import libcst as cst

import homeostasis_rules_python.facts as package
from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.facts.base import Extractor, Facts, registered

_ANY = (cst.Call, cst.Subscript, cst.Attribute, cst.BinaryOperation, cst.Comparison, cst.Name, cst.Raise, cst.Assert)


def extract(case: Case) -> Facts | None:
    """Facts about the innermost frame that may be edited; None if there is no such frame.

    An error that no extractor knows still has its failing node.
    """
    site = case.crash
    if site is None:
        return None
    for name in (case.raised.type, *(base.split(".")[-1] for base in case.raised.bases)):
        for extractor in _extractors(name):
            facts = extractor(case, site)
            if facts is not None:
                return facts
    nodes = site.nodes(*_ANY)
    if not nodes:
        return None
    facts = Facts.about(case, site, nodes[0])
    facts.sentence = f"{facts.where} raises {case.raised.type}"
    return facts


@lru_cache(maxsize=1024)
def _extractors(type_name: str) -> Tuple[Extractor, ...]:
    """The extractors for a class name, by rank."""
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    return tuple(extractor for _rank, extractor in sorted(registered(type_name), key=lambda entry: entry[0]))
