"""`VenvRunner`: runs each command of one trial in a process of its own, on a tree that was made for it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Mapping, Sequence

from homeostasis import injection
from homeostasis.errors import SandboxError
from homeostasis.models import Completed, Patch
from homeostasis.project import Project
from homeostasis_sandbox_venv import directories, interpreter, isolation, overlay, overlayfs, process, services, tree
from homeostasis_sandbox_venv.interpreter import Interpreter
from homeostasis_sandbox_venv.overlayfs import Overlay
from homeostasis_sandbox_venv.settings import Settings

_PASSED = ("LANG", "TZ")
_SETUP_TIMEOUT = 300.0


@dataclass(frozen=True)
class VenvRunner:
    """One isolated environment: the trial's directory holds `tree`, `environment`, `injection`, `home` and `tmp`."""

    directory: Path
    project: Project
    settings: Settings
    level: str
    app: Interpreter
    python: Path
    mounted: Overlay | None
    variables: Mapping[str, str] = field(repr=False)

    @property
    def root(self) -> Path:
        """The tree's root as commands see it. Behind a mount it is the project's own, so all paths are as usual."""
        mounts = self.level == "bubblewrap" or self.mounted is not None
        return self.project.root if mounts else self.directory / "tree"

    @property
    def live(self) -> Path:
        """Where files of the tree are looked up from outside."""
        return self.project.root if self.mounted is not None else self.directory / "tree"

    @property
    def _namespaces(self) -> tuple[int, int]:
        return (-1, -1) if self.mounted is None else self.mounted.namespaces

    def run(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> Completed:
        """Run a command; see `homeostasis.models.Trial.run`."""
        return process.run(
            self._launched(argv, os.path.normpath(self.root / cwd)),
            argv,
            stdin=stdin,
            env={**self.variables, **env},
            cwd="/",
            timeout=timeout,
            end_strays=self._end_strays,
            descriptors=[held for held in self._namespaces if held >= 0],
        )

    def close(self) -> None:
        """End what still runs and delete the trial. Never raises."""
        directories.remove(self.directory)
        if self.mounted is not None:
            self.mounted.close()

    def _end_strays(self) -> None:
        if self.level != "bubblewrap":
            directories.end_processes(self.directory)

    def _launched(self, argv: Sequence[str], cwd: str) -> list[str]:
        walled = self.level == "bubblewrap"
        open_ports = self.settings.ports if self.settings.allow_hosts else None
        return isolation.launched(
            self._in_bubblewrap(argv, cwd) if walled else argv,
            limits=isolation.limits(self.settings),
            cwd="/" if walled else cwd,
            supervise=True,
            namespaces=self._namespaces,
            rights=self._rights() if self.level == "landlock" else None,
            ports=None if self.level == "rlimits" else open_ports,
        )

    def _in_bubblewrap(self, argv: Sequence[str], cwd: str) -> list[str]:
        return isolation.walled(
            argv,
            tree=self.directory / "tree",
            root=self.root,
            writable=[self.directory / "home"],
            readable=self._readable(),
            cwd=cwd,
            share_network=bool(self.settings.allow_hosts),
            space=self.settings.file_mb,
        )

    def _rights(self) -> dict[str, list[str]]:
        return isolation.landlock_rights(
            tree=self.root,
            writable=[self.directory / "home", self.directory / "tmp"],
            readable=self._readable(),
            root=self.project.root,
        )

    def _readable(self) -> list[Path]:
        given = [Path(path).expanduser() for path in self.settings.read_only]
        own = [self.python.parent.parent, self.directory / "injection", injection.PACKAGE]
        return [*needed(self.app, self.project.root), *own, *(path for path in given if path.exists())]


def needed(app: Interpreter, root: Path) -> list[Path]:
    """What the app's interpreter reads, without the live tree, of which the trial has a copy."""

    def is_live(path: Path) -> bool:
        in_environment = app.prefix != root and (path == app.prefix or app.prefix in path.parents)
        return (path == root or root in path.parents) and not in_environment

    paths = [app.prefix, app.base_prefix, *app.path, *app.packages]
    return [path for path in dict.fromkeys(paths) if path.exists() and not is_live(path)]


def make_runner(
    patch: Patch | None, project: Project, settings: Settings, level: str, app: Interpreter, directory: Path
) -> VenvRunner:
    """Make the tree with the patch, and the environment, in the trial's directory.

    Raises:
        SandboxError: a setting asks for what does not work here.
        PatchConflict: the tree is not what the patch was made from.
    """
    mounted = None
    try:
        mounted = _make_tree(patch, project, settings, level, app, directory)
        (directory / "home").mkdir()
        (directory / "tmp").mkdir()
        python = make_environment(project.root, app, directory, exact=settings.exact)
        runner = VenvRunner(directory, project, settings, level, app, python, mounted, {})
        inside = variables(project, settings, level, app, python, root=runner.root, copy=runner.live)
        runner = replace(runner, variables=inside)
        _set_up(runner)
    except BaseException:
        if mounted is not None:
            mounted.close()
        raise
    return runner


def make_environment(root: Path, app: Interpreter, directory: Path, *, exact: bool) -> Path:
    """Fill `environment` and `injection` in the trial's directory; returns the interpreter, `python_of(directory)`."""
    injection.inject(directory / "injection")
    python = overlay.make(directory / "environment", app, empty=exact)
    if exact:
        services.install(root, python)
    return python


def python_of(directory: Path) -> Path:
    """The interpreter that a trial in `directory` has once its environment is made."""
    return directory / "environment" / "bin" / "python"


def _make_tree(
    patch: Patch | None, project: Project, settings: Settings, level: str, app: Interpreter, directory: Path
) -> Overlay | None:
    """Fill the trial's tree: by an overlay behind walls, else, or where overlays do not work, by a copy.

    Without walls a program could write to the live tree through a link, so that there a copy is made, whose links stay
    inside.
    """
    root = project.root
    if level != "rlimits" and overlayfs.prepare(root, directory / "upper", project.config.source):
        if patch is not None:
            overlayfs.apply(patch, root, directory / "upper")
        services.seed(directory / "upper", root, settings.files)
        bound = [app.prefix] if root in app.prefix.parents and level == "landlock" else []
        mounted = overlayfs.mount(directory, root, bound=bound, cover=level == "landlock")
        if mounted is not None:
            return mounted
    tree.copy(root, directory / "tree", outward_links=level == "bubblewrap")
    if patch is not None:
        patch.apply(directory / "tree")  # refuses a path that passes through a link, so that what follows is inside
        for edit in patch.edits:
            tree.forget_byte_code(directory / "tree", edit.path)
    services.seed(directory / "tree", root, settings.files)
    return None


def variables(
    project: Project, settings: Settings, level: str, app: Interpreter, python: Path, *, root: Path, copy: Path
) -> dict[str, str]:
    """The environment inside: nothing of the orchestrator's but the path, the language and what is configured.

    Args:
        project: what is tried.
        settings: add variables and name those that are passed on.
        level: of the isolation.
        app: the app's interpreter.
        python: that of the trial, in the trial's directory.
        root: the tree's root as commands see it.
        copy: where its directories are looked up.
    """
    directory = python.parents[2]
    paths = [Path(), Path("src"), *interpreter.paths_into(project.root, app)]
    imported_from = [str(root / path) for path in dict.fromkeys(paths) if (copy / path).is_dir()]
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.startswith("LC_") or name in settings.pass_env
    }
    scripts = [str(python.parent), str(app.scripts), os.environ.get("PATH", os.defpath)]
    inside = {
        **passed,
        "PATH": os.pathsep.join(scripts),
        "VIRTUAL_ENV": str(python.parent.parent),
        "HOME": str(directory / "home"),
        "TMPDIR": "/tmp" if level == "bubblewrap" else str(directory / "tmp"),  # noqa: S108 - private
        "PYTHONHASHSEED": "0",  # base and candidate shall differ by the patch only
        directories.TOKEN: str(directory),
        "HOMEOSTASIS_PROJECT": str(root),
        "HOMEOSTASIS_SERVICE": project.config.service,
        "HOMEOSTASIS_TRANSPORT": "memory",  # what crashes in a trial is no incident of the app
        **settings.env,
    }
    return injection.environment(directory / "injection", inside, paths=imported_from)


def _set_up(runner: VenvRunner) -> None:
    for command in runner.settings.setup:
        done = runner.run(shlex.split(command), stdin="", env={}, cwd=".", timeout=_SETUP_TIMEOUT)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-300:]
            raise SandboxError(f"setup command {command!r} ended with status {done.returncode} in the sandbox: {said}")
