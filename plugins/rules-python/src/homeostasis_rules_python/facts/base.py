"""`Facts`: what is known about the failing expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Tuple, TypeVar

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.neutral import neutral
from homeostasis_rules_python.code.origin import Origin
from homeostasis_rules_python.code.web import handler


@dataclass
class Facts:
    """The failing node, JSON values for rules (`extraction.*`), and the syntax nodes that refactors work on."""

    case: Case
    site: Site
    node: cst.CSTNode
    values: Dict[str, Any] = field(default_factory=dict)
    nodes: Dict[str, cst.BaseExpression] = field(default_factory=dict)
    sentence: str = ""
    evidence: List[str] = field(default_factory=list)
    parameters: Dict[str, Any] = field(default_factory=dict)
    """Parameters that the rule gives its refactor: `status` and `message` of a refusal."""

    @classmethod
    def about(cls, case: Case, site: Site, node: cst.CSTNode) -> Facts:
        """The facts that every error has."""
        found = handler(case)
        statement = site.tree.statement(node)
        use = neutral(site.tree, node)
        values: Dict[str, Any] = {
            "expression": site.tree.code(node).strip(),
            "statement": site.tree.code(statement) if isinstance(statement, cst.SimpleStatementLine) else None,
            "function": site.function.name.value if site.function is not None else None,
            "handler": found.function.name.value if found is not None else None,
            "framework": found.framework if found is not None else None,
            "in_handler": found is not None and found.site is site,
            "use": use.use,
            "neutral": use.text,
        }
        return cls(case, site, node, values)

    def say(self, name: str, node: cst.BaseExpression) -> None:
        """Keep a part of the failing code under a name, as text and as node."""
        self.values[name] = self.site.tree.code(node)
        self.nodes[name] = node

    def blame(self, name: str, found: Origin) -> None:
        """Keep the origin of a part as `<name>_origin` and `<name>_place`, and its trail as evidence."""
        self.values[f"{name}_origin"] = found.kind
        self.values[f"{name}_place"] = found.place
        for sentence in found.trail:
            if sentence and sentence not in self.evidence:
                self.evidence.append(sentence)

    def has(self, names: Iterable[str]) -> bool:
        """Whether all these facts are known."""
        return all(self.values.get(name) is not None or name in self.nodes for name in names)

    @property
    def expression(self) -> cst.BaseExpression:
        """The failing node, where it is an expression.

        Raises:
            TypeError: it is a statement.
        """
        if not isinstance(self.node, cst.BaseExpression):
            raise TypeError(f"{type(self.node).__name__} is no expression")
        return self.node

    @property
    def where(self) -> str:
        """The function, or the file, in which it happened."""
        name = self.values.get("function")
        return f"`{name}`" if name else self.site.path


Extractor = Callable[[Case, Site], "Facts | None"]
"""Facts about the innermost frame that may be edited; None if the error is not what the extractor knows."""
ExtractorT = TypeVar("ExtractorT", bound=Extractor)
_REGISTERED: Dict[str, List[Tuple[int, Extractor]]] = {}


def extracts(*types: str, rank: int = 60) -> Callable[[ExtractorT], ExtractorT]:
    """Decorator: try a function for exceptions of these class names, and for classes derived from them.

    Args:
        types: names without modules, such as `OSError`.
        rank: extractors of a lower rank are tried first; those of common errors have 50 to 54.
    """

    def register(function: ExtractorT) -> ExtractorT:
        for name in types:
            _REGISTERED.setdefault(name, []).append((rank, function))
        return function

    return register


def registered(type_name: str) -> List[Tuple[int, Extractor]]:
    """Rank and function of the registered extractors for a class name."""
    return list(_REGISTERED.get(type_name, ()))


def words(name: str) -> str:
    """`order_id` as a person says it: `order`."""
    plain = name.split(".")[-1].strip("_")
    for suffix in ("_id", "_key", "_code", "_name", "_slug", "_uuid", "_number"):
        if plain.endswith(suffix) and len(plain) > len(suffix):
            plain = plain[: -len(suffix)]
    return plain.replace("_", " ")
