"""Finds the route of a method and path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from homeostasis_collect_http.calls import Route

_NO_NAMES: Dict[str, str] = {}


class Found(NamedTuple):
    """A route, and what stood at its `{name}` segments."""

    route: Route
    names: Dict[str, str]


class Routes:
    """The routes of one endpoint."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._exact: Dict[Tuple[str, str], Route] = {}
        self._patterns: List[Tuple[Route, List[str]]] = []
        for route in routes:
            if "{" in route.path:
                self._patterns.append((route, _segments(route.path)))
            else:
                self._exact[route.method, route.path.rstrip("/")] = route

    def find(self, method: str, path: str) -> Optional[Found]:
        """The route that takes such a call, or None."""
        exact = self._exact.get((method, path.rstrip("/")))
        if exact is not None:
            return Found(exact, _NO_NAMES)
        given = _segments(path)
        for route, segments in self._patterns:
            names = _names(segments, given) if route.method == method else None
            if names is not None:
                return Found(route, names)
        return None

    def methods(self, path: str) -> List[str]:
        """The methods that are known for a path."""
        every = {method for method, _ in self._exact} | {route.method for route, _ in self._patterns}
        return sorted(method for method in every if self.find(method, path))


def _segments(path: str) -> List[str]:
    return path.rstrip("/").split("/")


def _names(segments: List[str], given: List[str]) -> Optional[Dict[str, str]]:
    if len(segments) != len(given):
        return None
    names: Dict[str, str] = {}
    for segment, value in zip(segments, given):
        if segment.startswith("{"):
            names[segment[1:-1]] = value
        elif segment != value:
            return None
    return names
