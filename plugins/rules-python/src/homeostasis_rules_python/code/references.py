"""What refers to a name in the files of the app, found by rope; rope reads files and is never let to write or import.

rope is a library here, under its own licence (LGPL). It runs none of the app's code, is given no configuration of the
app's (`[tool.rope]` and `.ropeproject` stay unread: they may hold code), sees no library's source, and looks at files
of `source` only.
"""

from __future__ import annotations

import logging
from typing import Any, Iterator, List, Tuple
from weakref import WeakKeyDictionary

import libcst as cst

from homeostasis.source import SourceTree
from homeostasis_rules_python.code.case import Case, tree_at
from homeostasis_rules_python.code.tree import Tree

LOG = logging.getLogger("homeostasis.rules")
_PROJECTS: WeakKeyDictionary[SourceTree, Any] = WeakKeyDictionary()
Reference = Tuple[Tree, cst.Name]


def references(case: Case, tree: Tree, name: cst.Name) -> List[Reference]:
    """Every place of the app that certainly means the same as a name, the name itself included.

    Args:
        case: the crash, whose `source` is searched.
        tree: the file of the name.
        name: where it is defined or used.

    Returns:
        Trees and nodes, file by file; only the name itself if rope cannot tell.
    """
    from rope.contrib.findit import find_occurrences

    project = _project(case.source)
    paths = [other.path for other in case.trees(name.value.encode("utf-8"))]
    try:
        resources = {path: project.get_resource(path) for path in {*paths, tree.path}}
        offset = _offset(resources[tree.path].read(), tree, name)
        found = find_occurrences(project, resources[tree.path], offset, resources=list(resources.values()))
        places = [(location.resource.path, _position(location)) for location in found]
    except Exception as error:  # whatever rope cannot analyze is not followed
        LOG.debug("rope could not follow %s in %s: %s", name.value, tree.path, error)
        return [(tree, name)]
    return list(_nodes(case, name.value, sorted(set(places)))) or [(tree, name)]


def _nodes(case: Case, name: str, places: List[Tuple[str, Tuple[int, int]]]) -> Iterator[Reference]:
    for path, position in places:
        tree = tree_at(case.source, path)
        for node in tree.all(cst.Name) if tree is not None else ():
            start = tree.range(node).start if tree is not None else None
            if tree is not None and start is not None and node.value == name and (start.line, start.column) == position:
                yield tree, node


def _offset(text: str, tree: Tree, name: cst.Name) -> int:
    start = tree.range(name).start
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: start.line - 1]) + start.column


def _position(location: Any) -> Tuple[int, int]:
    text = location.resource.read()
    return text.count("\n", 0, location.offset) + 1, location.offset - text.rfind("\n", 0, location.offset) - 1


def _project(source: SourceTree) -> Any:
    if source not in _PROJECTS:
        _PROJECTS[source] = _rope_project(str(source.root))
    return _PROJECTS[source]


def _rope_project(root: str) -> Any:
    from rope.base.fscommands import FileSystemCommands
    from rope.base.prefs import Prefs
    from rope.base.project import Project

    class ReadOnly(FileSystemCommands):  # type: ignore[misc]
        def _refuse(self, *_arguments: object) -> None:
            raise PermissionError("rope only reads")

        create_file = create_folder = move = remove = write = _refuse

    class AppProject(Project):  # type: ignore[misc]
        def _init_prefs(self, _prefs: Any) -> None:
            self.prefs = Prefs(import_dynload_stdmods=False, extension_modules=[], ignore_syntax_errors=True)
            self.ignored.set_patterns(["*.pyc", ".*", "venv", "node_modules", "site-packages"])
            self._init_other_parts()

        def _init_source_folders(self) -> None:
            """Not even asked for: the setting is deprecated."""

        def get_python_path_folders(self) -> List[Any]:
            return []

    return AppProject(root, fscommands=ReadOnly(), ropefolder=None)
