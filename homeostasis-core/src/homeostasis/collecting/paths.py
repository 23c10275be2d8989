"""Paths as the app has them, in the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from pathlib import Path


class PathMap:
    """Puts the project's folder in the place of the app's; the longest prefix decides.

    Args:
        mapping: the setting `path_map`: folder of the app to folder of the project.
        root: of the project.
    """

    def __init__(self, mapping: Mapping[str, str], root: Path) -> None:
        self._root = root
        self._pairs = sorted(((app.rstrip("/"), here) for app, here in mapping.items()), key=lambda pair: -len(pair[0]))

    def mapped(self, path: str) -> str:
        """The path in the project, or the same path if no prefix fits."""
        for base, here in self._pairs:
            if path.startswith(f"{base}/"):
                return str(self._root / here / path[len(base) + 1 :])
        return path
