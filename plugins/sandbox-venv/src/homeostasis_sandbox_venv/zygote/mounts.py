"""What a run sees: an overlay of the project's tree, and nothing that another run has written.

The zygote's own mounts are all read-only, or belong to directories that are replaced here: the private ones, such as
`/tmp` and the homes, by empty ones with the same mounts in them; shared memory, terminals and processes by new ones.
All of it is gone with the namespaces.
"""

from __future__ import annotations

import base64
import os
import stat
from typing import Any, Dict, List, Tuple

from . import linux

_COVERED = ("sys", "sysrq-trigger", "irq", "bus")
"""What of /proc root could write although it has no capabilities."""


def furnish(spec: Dict[str, Any], nest: str) -> None:
    """Mount all that a run sees; called in the first process of its namespaces.

    Args:
        spec: of the run; see `homeostasis_sandbox_venv.warm.Cell`.
        nest: a directory below one of the private ones, with the tree in `lower`, without what is mounted in it, and an
            empty `stage`.

    Raises:
        OSError: something cannot be mounted here.
    """
    root, stage = spec["root"], os.path.join(nest, "stage")
    points = [point for point in linux.mount_points() if not point.startswith(nest + "/")]
    linux.mount("tmpfs", stage, "tmpfs", linux.NOSUID | linux.NODEV, f"mode=700,size={spec['space']}m")
    tree = _overlay(spec, os.path.join(nest, "lower"), stage)
    for point in points:
        if point.startswith(root + "/"):
            _bind(point, tree + point[len(root) :])
    covers = [_copy_of(private, points, {root: tree}, stage, number) for number, private in enumerate(spec["private"])]
    for directory in spec["fresh"]:
        for made, private in covers:
            if directory.startswith(private + "/"):
                os.makedirs(made + directory[len(private) :], mode=0o700, exist_ok=True)
    if not any(root.startswith(private + "/") for _, private in covers):
        linux.mount(tree, root, None, linux.BIND | linux.REC)
    # The stage lies below one of them, which comes last: once that is covered, nothing leads to the layers any more.
    for made, private in sorted(covers, key=lambda cover: stage.startswith(cover[1] + "/")):
        linux.mount(made, private, None, linux.BIND | linux.REC)
    _system(spec["space"])


def _overlay(spec: Dict[str, Any], lower: str, stage: str) -> str:
    upper, work, tree = (os.path.join(stage, name) for name in ("upper", "work", "tree"))
    for directory in (upper, work, tree):
        os.mkdir(directory)
    _like(lower, upper)
    for path in spec["hidden"]:
        _make_directories(lower, upper, os.path.dirname(path))
        os.mknod(os.path.join(upper, path), stat.S_IFCHR, os.makedev(0, 0))
    for path, content in spec["files"]:
        _make_directories(lower, upper, os.path.dirname(path))
        here, live = os.path.join(upper, path), os.path.join(lower, path)
        with open(here, "wb") as file:
            file.write(base64.b64decode(content))
        if os.path.exists(live):
            os.chmod(here, stat.S_IMODE(os.stat(live).st_mode))
    linux.mount("overlay", tree, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work},userxattr")
    probe = os.path.join(tree, ".homeostasis")
    os.mkdir(probe)  # over a whiteout: needs the attributes that not every file system has
    os.rmdir(probe)
    return tree


def _make_directories(lower: str, upper: str, path: str) -> None:
    """Make a directory of the upper layer with the modes that the lower one has."""
    here = os.path.join(upper, path)
    if not path or os.path.isdir(here):
        return
    _make_directories(lower, upper, os.path.dirname(path))
    os.mkdir(here)
    _like(os.path.join(lower, path), here)


def _like(source: str, target: str) -> None:
    try:
        found = os.stat(source)
    except OSError:
        return  # the patch brings it
    os.chmod(target, stat.S_IMODE(found.st_mode) | 0o700)


def _copy_of(private: str, points: List[str], instead: Dict[str, str], stage: str, number: int) -> Tuple[str, str]:
    """A new directory with the same mounts in it as `private` has, and nothing else."""
    made = os.path.join(stage, f"private-{number}")
    os.mkdir(made)
    os.chmod(made, stat.S_IMODE(os.stat(private).st_mode))
    below = sorted({point for point in points if point.startswith(private + "/")})
    for point in below:
        if not any(point.startswith(other + "/") for other in below):
            _bind(instead.get(point, point), made + point[len(private) :])
    return made, private


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    linux.mount(source, target, None, linux.BIND | linux.REC)


def _system(space: int) -> None:
    """What of the system has a state that runs would share: shared memory, terminals, processes."""
    linux.mount("tmpfs", "/dev/shm", "tmpfs", linux.NOSUID | linux.NODEV, f"mode=1777,size={space}m")  # noqa: S108
    options = "newinstance,ptmxmode=0666,mode=620"
    linux.mount("devpts", "/dev/pts", "devpts", linux.NOSUID | linux.NOEXEC, options)
    linux.make_read_only("/dev")
    safe = linux.NOSUID | linux.NODEV | linux.NOEXEC
    try:
        linux.mount("proc", "/proc", "proc", safe)
    except PermissionError:  # the only one in sight that is whole is read-only
        linux.mount("proc", "/proc", "proc", safe | linux.RDONLY)
        return
    for name in _COVERED if os.getuid() == 0 else ():
        path = f"/proc/{name}"
        if os.path.exists(path):
            linux.mount(path, path, None, linux.BIND | linux.REC)
            linux.make_read_only(path)
