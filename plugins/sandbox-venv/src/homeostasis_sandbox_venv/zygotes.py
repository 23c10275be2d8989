"""Which zygotes run: one for each project, kept from one incident to the next while its environment stays the same."""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Callable, Mapping

from homeostasis import injection
from homeostasis.models.trial import Warmth
from homeostasis.project import Project
from homeostasis_sandbox_venv import directories, fresh, isolation, layers, overlayfs, warm
from homeostasis_sandbox_venv.interpreter import Interpreter
from homeostasis_sandbox_venv.layers import Layer
from homeostasis_sandbox_venv.settings import Settings
from homeostasis_sandbox_venv.warm import Cell, Unfit, Zygote
from homeostasis_sandbox_venv.zygote import BOOT

LOG = logging.getLogger("homeostasis.sandbox")
IDLE = 1800.0
"""Seconds after its last run at which a zygote is ended; it holds as much memory as the app's libraries take."""
MAKING = "a warm interpreter is being made"
"""What is said until one is ready."""
_LOOK = 5.0
"""Seconds between looks at whether it still runs and is used."""
_PINS = ("pyproject.toml", "uv.lock", "pylock.toml", "requirements.lock", "requirements.txt")


@dataclass(frozen=True)
class Place:
    """A project as it is run: its settings and its interpreter."""

    project: Project
    settings: Settings
    level: str
    app: Interpreter

    @cached_property
    def obstacle(self) -> str:
        """Why no zygote can serve it, in a phrase; empty if one can. Found once, because the tree is searched."""
        root = self.project.root
        if self.level != "bubblewrap":
            return f"a warm interpreter needs bubblewrap, not {self.level}"
        for name in ("setup", "allow_hosts"):
            if getattr(self.settings, name):
                return f"{name} in [tool.homeostasis.sandbox-venv] needs fresh processes"
        if layers.size(root, self.settings.files) > layers.MAX_BYTES:
            return "SQLite databases and seed files are too large to be copied for each run"
        covered = any(Path(top) == root or root in Path(top).parents for top in isolation.hidden_directories())
        if covered or not overlayfs.fits(root, Path(tempfile.gettempdir())):
            return f"no overlay can be made of {root}"
        return ""

    @property
    def fingerprint(self) -> str:
        """Changes with whatever would make the zygote another one: the environment, its packages, settings."""
        root = self.project.root
        marks = [*self.app.packages, self.app.prefix / "pyvenv.cfg", *(root / name for name in _PINS)]
        passed = [(name, os.environ.get(name)) for name in self.settings.pass_env]
        named = [str(self.app.executable), self.app.version, self.settings.model_dump_json(), passed, os.getpid()]
        return json.dumps([*named, *map(_time, marks)])

    @property
    def environment(self) -> str:
        """Changes with whatever a command could notice beside the tree: what is said above, walls, seed files."""
        seeds = [self.project.root / Path(name).expanduser() for name in self.settings.files.values()]
        return json.dumps([self.fingerprint, self.level, self.app.scripts.as_posix(), *map(_time, seeds)])


@dataclass
class Kept:
    """A zygote and what is known of it. Its thread starts it, and ends it when it is told to, or no longer used."""

    place: Place
    fingerprint: str
    reason: str = MAKING
    ready: bool = False
    used: float = field(default_factory=time.monotonic)
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    """The files of the modules that it has imported, and when they were last changed."""
    zygote: Zygote | None = None
    directory: Path | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def tend(self, ask: Callable[[Zygote, bool], warm.Answered]) -> None:
        """The body of its thread. `ask` has the zygote run what it shall be warmed by, and learn from it or not."""
        try:
            self._begin()
            self._warm_up(ask)
            while not self.over.wait(_LOOK):
                unused = time.monotonic() - self.used
                if self.zygote is None or not self.zygote.running or unused > IDLE:
                    break  # the next incident starts another one
        except Unfit as reason:
            self.reason = str(reason)
            LOG.info("replays of %s run in fresh processes: %s", self.place.project.root, reason)
        except Exception as error:
            self.reason = f"{type(error).__name__}: {error}"
            LOG.exception("no warm interpreter for %s", self.place.project.root)
        finally:
            self.end()

    def _begin(self) -> None:
        place, project = self.place, self.place.project
        directory = self.directory = directories.make()
        python = fresh.make_environment(project.root, place.app, directory, exact=place.settings.exact)
        root = project.root
        self.env = fresh.variables(project, place.settings, place.level, place.app, python, root=root, copy=root)
        libraries = [place.app.prefix, place.app.base_prefix, *place.app.packages]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        spec = {
            "descriptor": theirs.fileno(), "nest": str(directory / "nest"), "root": str(root),
            "libraries": [str(path) for path in libraries if path != root and path not in root.parents],
        }  # fmt: skip
        given = [Path(path).expanduser() for path in place.settings.read_only]
        own = [directory / "environment", directory / "injection", injection.PACKAGE, warm.PROGRAM]
        walled = isolation.walled(
            [str(python), "-c", BOOT, str(warm.PROGRAM), json.dumps(spec)],
            tree=root,
            root=root,
            writable=(),
            readable=[*fresh.needed(place.app, root), *own, *(path for path in given if path.exists())],
            cwd="/",
            share_network=False,
            space=place.settings.file_mb,
            nest=directory / "nest",
        )
        limits = {name: value for name, value in isolation.limits(place.settings).items() if name != "RLIMIT_NPROC"}
        launched = isolation.launched(
            walled, limits=limits, cwd="/", supervise=True, namespaces=(-1, -1), rights=None, ports=None
        )
        self.zygote = Zygote(launched, self.env, (ours, theirs), directory / "log")
        if self.over.is_set():
            raise Unfit("it is no longer wanted")

    def _warm_up(self, ask: Callable[[Zygote, bool], warm.Answered]) -> None:
        """Have it import what a run imports, and make sure that another run then ends in the same way."""
        if self.zygote is None:
            return
        first = ask(self.zygote, True)
        self.zygote.load([name for name, _ in first.modules])
        self.files = {file: _time(file) for _, file in first.modules}
        second = ask(self.zygote, False)
        if (first.done.returncode, first.done.timed_out) != (second.done.returncode, second.done.timed_out):
            raise Unfit("the app does not start in a process that is forked after its libraries were imported")
        self.ready = not self.over.is_set()
        self.reason = ""

    def is_fresh(self, fingerprint: str) -> bool:
        """Whether it is what would be started now."""
        return fingerprint == self.fingerprint and all(_time(file) == at for file, at in self.files.items())

    def use(self) -> None:
        """It has been of use: it is kept."""
        self.used = time.monotonic()

    def end(self) -> None:
        """End the zygote and delete its directory; can be called twice."""
        self.ready = False
        self.over.set()
        zygote, self.zygote = self.zygote, None
        if zygote is not None:
            zygote.close()
        if self.directory is not None:
            directories.remove(self.directory)

    def cell(self, layer: Layer) -> Cell:
        """What is the same for all runs of a trial; see `Cell`."""
        return Cell(
            root=self.place.project.root,
            private=isolation.hidden_directories(),
            fresh=(self.env["HOME"],),
            layer=layer,
            limits=isolation.limits(self.place.settings),
            space=self.place.settings.file_mb + (sum(len(content) for _, content in layer.written) >> 20) + 1,
            env=self.env,
        )


_kept: dict[Path, Kept] = {}
_lock = threading.Lock()


def find(place: Place) -> Kept | None:
    """The zygote of a project if it is ready and would be made the same now."""
    with _lock:
        kept = _kept.get(place.project.root)
    return kept if kept is not None and kept.ready and kept.is_fresh(place.fingerprint) else None


def warmth(place: Place) -> Warmth:
    """Whether there is one, and why not."""
    obstacle = place.obstacle
    if obstacle:
        return Warmth(ready=False, reason=obstacle)
    kept = _kept.get(place.project.root)
    if kept is None:
        return Warmth(ready=False, reason="no warm interpreter was started")
    if not kept.is_fresh(place.fingerprint):
        return Warmth(ready=False, reason="the app's environment has changed")
    return Warmth(ready=kept.ready, reason=kept.reason)


def start(place: Place, ask: Callable[[Kept, Zygote, bool], warm.Answered]) -> None:
    """Start the zygote of a project in the background, unless there is one, or one like it has proven unfit."""
    fingerprint = place.fingerprint
    with _lock:
        before = _kept.get(place.project.root)
        if before is not None and before.is_fresh(fingerprint) and (before.reason or before.ready):
            return
        kept = _kept[place.project.root] = Kept(place, fingerprint)
    if before is not None:
        before.over.set()
    target = kept.tend
    threading.Thread(
        target=target, args=(lambda zygote, learn: ask(kept, zygote, learn),), name="zygote", daemon=True
    ).start()


def end_all() -> None:
    """End all zygotes of this process."""
    with _lock:
        ended = list(_kept.values())
        _kept.clear()
    for kept in ended:
        kept.end()


atexit.register(end_all)


def _time(path: str | Path) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - hundreds of files are looked at for each run
    except OSError:
        return 0
