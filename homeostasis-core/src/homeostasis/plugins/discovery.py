"""Which plugins are installed, and the loading of those that the project allows."""

from __future__ import annotations

import importlib.metadata
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Iterator, List, Sequence

from stevedore import NamedExtensionManager

from homeostasis.errors import PluginError
from homeostasis.plugins.failures import PluginState

GROUP = "homeostasis"
PUBLISHED_BY = {
    "working-tree": "homeostasis-deploy-git",
    "git-branch": "homeostasis-deploy-git",
    "hotswap": "homeostasis-deploy-hotswap",
    "reload": "homeostasis-deploy-hotswap",
}
"""Packages whose plugins are not named like the package, for the pip command in a refusal."""


@dataclass(frozen=True)
class Found:
    """An entry point of the group `homeostasis`, not imported yet. Stands in for `importlib.metadata.EntryPoint`."""

    name: str
    value: str
    distribution: str
    version: str
    group: str = GROUP

    def load(self) -> Any:
        """Import what the entry point names.

        Raises:
            PluginError: the import raised anything, `SystemExit` included.
        """
        try:
            return importlib.metadata.EntryPoint(self.name, self.value, self.group).load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(f"importing {self.value} raised {type(error).__name__}: {error}") from error


def discover() -> list[Found]:
    """All installed plugins in name order, read afresh."""
    return sorted(_entry_points(), key=lambda found: (found.name, found.distribution))


def _entry_points() -> Iterator[Found]:
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"] or ""
        canonical = re.sub(r"[-_.]+", "-", name).lower()
        # The first on sys.path is the one that would be imported; a second copy of the same project is not a rival.
        if not canonical or canonical in seen:
            continue
        seen.add(canonical)
        for entry in distribution.entry_points:
            if entry.group == GROUP:
                yield Found(entry.name, entry.value, name, distribution.version)


if TYPE_CHECKING:
    _Manager = NamedExtensionManager[Any]
else:  # not generic at run time before stevedore 5.5
    _Manager = NamedExtensionManager


class _AllowList(_Manager):
    """stevedore's manager with an uncached list that keeps the distribution (see docs/decisions)."""

    def __init__(self, found: Sequence[Found], allowed: Sequence[str], refused: dict[str, str]) -> None:
        self._found = found
        super().__init__(
            GROUP,
            list(allowed),
            on_load_failure_callback=lambda _manager, entry, error: refused.__setitem__(entry.name, str(error)),
            on_missing_entrypoints_callback=None,
        )

    def list_entry_points(self) -> List[Any]:
        return list(self._found)


def load_allowed(allowed: Sequence[str]) -> tuple[dict[str, Any], list[PluginState]]:
    """Import the plugins that are allowed, and only those.

    Returns:
        The loaded objects by name, in the order of `allowed`, and a state for every plugin that is installed or
        allowed; the loaded ones are still to be checked and registered.
    """
    installed = discover()
    claims = Counter(found.name for found in installed)
    unique = [found for found in installed if claims[found.name] == 1]
    refused: dict[str, str] = {}
    manager = _AllowList(unique, allowed, refused)
    loaded = {extension.name: extension.plugin for extension in manager.extensions}
    states = [_state(found, installed, claims, allowed, refused) for found in installed]
    names = {found.name for found in installed}
    states += [_missing(name) for name in allowed if name not in names]
    return {name: loaded[name] for name in allowed if name in loaded}, states


def _state(
    found: Found, installed: Sequence[Found], claims: Counter[str], allowed: Sequence[str], refused: dict[str, str]
) -> PluginState:
    state = PluginState(found.name, "loaded", found.distribution, found.version, found.value)
    if found.name not in allowed:
        reason = f"installed, but not in plugins: add {found.name!r} to plugins in [tool.homeostasis] to allow it"
        return replace(state, state="not allowed", reason=reason)
    if claims[found.name] > 1:
        rivals = ", ".join(sorted(other.distribution for other in installed if other.name == found.name))
        return replace(state, state="refused", reason=f"the name is claimed by {rivals}: uninstall all but one")
    if found.name in refused:
        return replace(state, state="refused", reason=refused[found.name])
    return state


def _missing(name: str) -> PluginState:
    package = PUBLISHED_BY.get(name, f"homeostasis-{name}")
    reason = f"allowed, but no installed package has it: pip install {package}, or take it out of plugins"
    return PluginState(name=name, state="missing", reason=reason)
