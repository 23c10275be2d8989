"""`RuleRegistry` and `TemplateRegistry`: what the plugins have registered, by id."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Generic, Iterator, List, Set, Tuple, TypeVar

from homeostasis.errors import RuleError
from homeostasis.rules.loading import load_rule, load_template
from homeostasis.rules.rule import Rule
from homeostasis.rules.template import Template

ItemT = TypeVar("ItemT", Rule, Template)


class _Registry(Generic[ItemT]):
    """Items by id, in the order in which they were added."""

    def __init__(self) -> None:
        self._items: Dict[str, ItemT] = {}
        self._origins: Dict[str, str] = {}
        self._overriding: Set[str] = set()
        self._overridden: Dict[str, List[str]] = {}

    def __iter__(self) -> Iterator[ItemT]:
        return iter(tuple(self._items.values()))

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def get(self, item_id: str) -> ItemT | None:
        """The item of that id, or None."""
        return self._items.get(item_id)

    def origin(self, item_id: str) -> str | None:
        """The file that the item came from, or what the plugin named instead; None for an unknown id."""
        return self._origins.get(item_id)

    def overridden(self, item_id: str) -> Tuple[str, ...]:
        """Origins of those of the same id that this one has replaced."""
        return tuple(self._overridden.get(item_id, ()))

    def _put(self, item_id: str, item: ItemT, origin: str, kind: str, *, override: bool) -> None:
        if item_id in self._items:
            if override == (item_id in self._overriding):
                raise RuleError(
                    f"the {kind} {item_id!r} is defined twice, in {self._origins[item_id]} and in {origin}: "
                    f"rename one of them, or have one override the other"
                )
            loser = self._origins[item_id] if override else origin
            self._overridden.setdefault(item_id, []).append(loser)
            if not override:
                return
        if override:
            self._overriding.add(item_id)
        self._items[item_id] = item
        self._origins[item_id] = origin


def _json_files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise RuleError(f"{directory}: is not a directory")
    return sorted(file for file in directory.rglob("*.json") if file.is_file())


class RuleRegistry(_Registry[Rule]):
    """Rules by id. Iterating gives them in the order in which they were added."""

    def add(self, rule: Rule, origin: str = "code", *, override: bool = False) -> None:
        """Add one rule; `origin` says where it comes from.

        Args:
            rule: the rule.
            origin: a file, or what people shall read instead.
            override: replace the one of the same id, whether it was added before or is added later.

        Raises:
            RuleError: its id is taken; the message names both origins.
        """
        self._put(rule.rule_id, rule, origin, "rule", override=override)

    def add_directory(self, path: Path | str, *, override: bool = False) -> None:
        """Add all `*.json` files below a directory, in sorted order; see `add` for `override`.

        Raises:
            RuleError: a file is malformed (named with line and column), or an id is taken (both files are named).
        """
        for file in _json_files(Path(path)):
            self.add(load_rule(file), str(file), override=override)


class TemplateRegistry(_Registry[Template]):
    """Templates by id. Iterating gives them in the order in which they were added."""

    def add(self, template: Template, origin: str = "code", *, override: bool = False) -> None:
        """Add one template; `origin` says where it comes from.

        Args:
            template: the template.
            origin: a file, or what people shall read instead.
            override: replace the one of the same id, whether it was added before or is added later.

        Raises:
            RuleError: its id is taken; the message names both origins.
        """
        self._put(template.template_id, template, origin, "template", override=override)

    def add_directory(self, path: Path | str, *, override: bool = False) -> None:
        """Add all templates below a directory: each `*.json` file with the `.py.template` of the same name beside it.

        See `add` for `override`.

        Raises:
            RuleError: a file is malformed (named with line and column) or has no counterpart, or an id is taken.
        """
        directory = Path(path)
        files = _json_files(directory)
        described = {file.stem for file in files}
        for text in sorted(directory.rglob("*.py.template")):
            if text.name[: -len(".py.template")] not in described:
                raise RuleError(f"{text}: there is no {text.name[: -len('.py.template')]}.json beside it")
        for file in files:
            self.add(load_template(file), str(file), override=override)
