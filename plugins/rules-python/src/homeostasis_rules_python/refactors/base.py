"""What a refactor is, and the registry."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Dict, Iterator, List, Protocol, Sequence, Tuple, Type, TypeVar

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.facts.base import Facts


@dataclass(frozen=True)
class Change:
    """One candidate: edits of one or several files and what they do."""

    edits: Tuple[Edits, ...]
    effect: Effect
    summary: str
    rationale: str
    weight: float = 1.0
    """Factor on the rule's confidence, 0 to 1."""
    risk: Risk = Risk.LOW
    evidence: Tuple[str, ...] = ()

    @classmethod
    def because(
        cls,
        edits: Sequence[Edits],
        effect: Effect,
        summary: str,
        evidence: str,
        weight: float = 1.0,
        risk: Risk = Risk.LOW,
    ) -> Change:
        """A change whose one piece of evidence is all of its rationale, there as a sentence."""
        first = evidence.split(" ", 1)[0]
        # What begins with code or with a file stays as it is spelt.
        sentence = f"{evidence[0].upper()}{evidence[1:]}." if first.isalpha() else f"{evidence}."
        return cls(tuple(edits), effect, summary, sentence, weight, risk, (evidence,))


class Refactor(Protocol):
    """A class without state; `refactor_id` is what rules name, `needs` are the facts that it cannot do without."""

    refactor_id: str
    needs: Tuple[str, ...]

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Candidates, the best first; none if the code has a shape that the refactor does not know."""
        ...


RefactorT = TypeVar("RefactorT", bound=Type[Any])
_REGISTERED: Dict[str, Refactor] = {}


def register(kind: RefactorT) -> RefactorT:
    """Class decorator: make a refactor known under its `refactor_id`.

    Raises:
        ValueError: the id is taken.
    """
    if kind.refactor_id in _REGISTERED and type(_REGISTERED[kind.refactor_id]) is not kind:
        raise ValueError(f"the refactor {kind.refactor_id!r} is defined twice")
    _REGISTERED[kind.refactor_id] = kind()
    return kind


def refactor(refactor_id: str) -> Refactor | None:
    """The refactor of that id, or None."""
    _load()
    return _REGISTERED.get(refactor_id)


def refactor_ids() -> List[str]:
    """Ids of all refactors, sorted."""
    _load()
    return sorted(_REGISTERED)


@lru_cache(maxsize=None)
def _load() -> None:
    """Import every module of this package, so that a new file is found without being listed."""
    package = import_module("homeostasis_rules_python.refactors")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
