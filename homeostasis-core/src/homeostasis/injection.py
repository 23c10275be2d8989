"""The injection directory: how the app's interpreter gets our capture and replay without having anything installed.

The directory goes first on `PYTHONPATH`. It holds a link to this very package, under its name, and a `sitecustomize.py`
that starts the capture or the monitoring and then runs the `sitecustomize` that it hides. Nothing else of the healer's
environment becomes importable, and nothing else of the app is hidden.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Mapping, Sequence

from homeostasis import __version__
from homeostasis.autostart import INJECT, TRUE
from homeostasis.monitoring.adapters import GROUP, installed

DIRECTORY = "injection"
"""Its name in the project's state, for the app that `homeostasis run` starts: it outlives the orchestrator."""
PACKAGE = Path(__file__).resolve().parent
"""Where this package lies: the link's target. A sandbox must let the app's interpreter read it."""

_SITECUSTOMIZE = '''\
"""Starts the capture or the monitoring of homeostasis if asked for, then runs the sitecustomize that this one hides."""
import os
import sys


def start():
    if sys.version_info < (3, 8):
        return
    try:
        if os.environ.get("HOMEOSTASIS_CAPTURE"):
            from homeostasis.monitoring import bootstrap

            bootstrap.run()
        if os.environ.get("HOMEOSTASIS_INJECT"):
            from homeostasis import autostart

            autostart.run()
    except Exception as error:
        sys.stderr.write("homeostasis does not monitor this process: %s: %s\\n" % (type(error).__name__, error))


def run_hidden():
    from importlib import util
    from importlib.machinery import PathFinder

    here = os.path.dirname(os.path.realpath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if os.path.realpath(path) != here])
    if spec is not None and spec.loader is not None:
        module = util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


start()
run_hidden()
'''


def inject(directory: Path, *, adapters: bool = False) -> Path:
    """Fill `directory`, which is made if need be, and return it.

    Args:
        directory: what is in it already is brought up to date; processes that use it meanwhile are not disturbed.
        adapters: also link the framework adapters that are installed beside this package.

    Raises:
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _link(directory / "homeostasis", PACKAGE)
    if adapters:
        _inject_adapters(directory)
    _write(directory / "sitecustomize.py", _SITECUSTOMIZE)
    return directory


def _inject_adapters(directory: Path) -> None:
    lines = []
    for framework, modules in sorted(installed().items()):
        for module in modules:
            package = module.partition(".")[0]
            spec = find_spec(package)
            for location in (spec.submodule_search_locations if spec is not None else None) or ():
                _link(directory / package, Path(location).resolve())
                lines.append(f"{framework} = {module}\n")
                break
    # The adapters are found by their entry points, which the app's interpreter reads from the metadata beside them.
    metadata = directory / f"homeostasis_injection-{__version__}.dist-info"
    metadata.mkdir(exist_ok=True)
    _write(metadata / "METADATA", f"Metadata-Version: 2.1\nName: homeostasis-injection\nVersion: {__version__}\n")
    _write(metadata / "entry_points.txt", f"[{GROUP}]\n" + "".join(lines))


def _link(link: Path, target: Path) -> None:
    """Have `link` point to `target`, at no moment to nothing."""
    if link.is_symlink() and Path(os.readlink(link)) == target:
        return
    with tempfile.TemporaryDirectory(dir=str(link.parent), prefix=".new-") as place:
        made = Path(place) / "link"
        made.symlink_to(target, target_is_directory=True)
        made.replace(link)


def _write(file: Path, content: str) -> None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if file.read_text(encoding="utf-8") == content:
            return
    with tempfile.TemporaryDirectory(dir=str(file.parent), prefix=".new-") as place:
        made = Path(place) / "file"
        made.write_text(content, encoding="utf-8")
        made.replace(file)


def environment(
    directory: Path, env: Mapping[str, str], capture: Path | None = None, paths: Sequence[str] = ()
) -> dict[str, str]:
    """The environment `env` with the injection directory in front.

    Args:
        directory: what `inject` returned, as the command will see it.
        env: the environment that is extended.
        capture: directory into which the command and its children write the events of their crashes.
        paths: further directories for `PYTHONPATH`, after the injection and before what `env` has.
    """
    before = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(directory)]
    extended = {**env, "PYTHONPATH": os.pathsep.join([str(directory), *paths, *before])}
    if capture is None:
        return extended
    from homeostasis.monitoring.bootstrap import capturing

    return capturing(extended, str(capture))


def wanted(env: Mapping[str, str]) -> bool:
    """Whether the environment leaves it to us to monitor the app's processes (`HOMEOSTASIS_INJECT`)."""
    return env.get(INJECT, "1").strip().lower() in TRUE


def monitoring(directory: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment `env` in which every Python process of a command monitors itself.

    Args:
        directory: what `inject` returned.
        env: the environment that is extended.
    """
    return {**environment(directory, env), INJECT: "1"}
