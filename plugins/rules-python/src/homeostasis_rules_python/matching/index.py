"""`RuleIndex`: rules by the types and texts that they demand, so that an event meets only those that could match."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterable, List, Set, Tuple

from homeostasis.rules import Rule
from homeostasis_rules_python.matching.compiled import CompiledRule
from homeostasis_rules_python.matching.demands import demanded_text, demanded_types

GRAM = 3
"""Length of the pieces by which texts are indexed, in characters."""
MAX_INDEXED = 20_000
"""A longer `Type: message`, in characters, is not cut to pieces: all rules of its types are tried."""
Entry = Tuple[int, CompiledRule]


class RuleIndex:
    """Rules under each type name that their pattern demands; those that demand none are tried for every event.

    Among the rules of a type, those that demand a text stand under one piece of it, the one that the fewest demand.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Compile the rules and read their patterns once."""
        by_type: Dict[str, List[Tuple[Entry, str]]] = {}
        anywhere: List[Tuple[Entry, str]] = []
        for order, rule in enumerate(rules):
            item = ((order, CompiledRule(rule)), demanded_text(rule))
            types = demanded_types(rule)
            if types is None:
                anywhere.append(item)
            for name in types or ():
                by_type.setdefault(name, []).append(item)
        self._by_type = {name: _Bucket(items) for name, items in by_type.items()}
        self._anywhere = _Bucket(anywhere)

    def candidates(self, types: Iterable[str], text: str | None = None) -> List[CompiledRule]:
        """Rules that may match an exception, in the order of registration.

        Args:
            types: names of its class and bases.
            text: its `Type: message`; None for all rules of the types.
        """
        pieces = None if text is None or len(text) > MAX_INDEXED else grams(text)
        found = dict(self._anywhere.entries(pieces))
        for name in types:
            if name in self._by_type:
                found.update(self._by_type[name].entries(pieces))
        return [found[order] for order in sorted(found)]


class _Bucket:
    """The rules of one type."""

    def __init__(self, items: List[Tuple[Entry, str]]) -> None:
        demanded = Counter(piece for _entry, text in items for piece in grams(text))
        self._always: List[Entry] = []
        self._by_piece: Dict[str, List[Entry]] = {}
        for entry, text in items:
            pieces = grams(text)
            if pieces:
                rarest = min(sorted(pieces), key=demanded.__getitem__)
                self._by_piece.setdefault(rarest, []).append(entry)
            else:
                self._always.append(entry)

    def entries(self, pieces: Set[str] | None) -> List[Entry]:
        """Rules whose text may occur in one with these pieces."""
        wanted = self._by_piece.keys() if pieces is None else self._by_piece.keys() & pieces
        return [*self._always, *(entry for piece in wanted for entry in self._by_piece[piece])]


def grams(text: str) -> Set[str]:
    """All pieces of `GRAM` characters of a text."""
    return {text[at : at + GRAM] for at in range(len(text) - GRAM + 1)}
