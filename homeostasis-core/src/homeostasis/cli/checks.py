"""The checks of `homeostasis doctor`: each looks at one thing and says how to mend it."""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Literal, Optional

from homeostasis.cli.detect import repository
from homeostasis.config import DEFAULT_PLUGINS
from homeostasis.errors import HomeostasisError
from homeostasis.workers import live_workers

if TYPE_CHECKING:
    from homeostasis.plugins import Plugins
    from homeostasis.project import Project

STAGE_HOOKS = ("collect", "analyze", "patch", "sandbox", "validate", "deploy")


@dataclass(frozen=True)
class Finding:
    """What one check found. `mend` says what to do if `level` is not `ok`."""

    check: str
    level: Literal["ok", "warning", "error"]
    detail: str
    mend: str = ""


def examine(root: Path) -> Iterator[Finding]:
    """Check the installation and the project; what cannot be checked because of an earlier error is left out."""
    from homeostasis.plugins import load_plugins
    from homeostasis.project import Project

    yield Finding("python", "ok", f"{platform.python_version()} ({platform.python_implementation()})")
    try:
        project = Project.load(root)
        plugins = load_plugins(project)
    except HomeostasisError as error:
        yield Finding("configuration", "error", str(error), "correct it in pyproject.toml")
        return
    yield _configuration(project)
    yield from _plugins(plugins)
    yield from _stages(project, plugins)
    yield from _isolation(plugins)
    yield from _git(project)
    yield from _source(project)
    yield _app(project)
    yield _interpreter(project)
    yield _tests(project)
    yield _monitoring(project)
    yield _orchestrator(project)


def _configuration(project: Project) -> Finding:
    file = project.root / "pyproject.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if "homeostasis" not in text:
        return Finding("configuration", "error", f"{file} has no [tool.homeostasis]", "run: homeostasis init")
    return Finding("configuration", "ok", f"{file} (service {project.config.service}, mode {project.config.mode})")


def _plugins(plugins: Plugins) -> Iterator[Finding]:
    loaded = [state.name for state in plugins.states if state.state == "loaded"]
    in_use = {state.distribution for state in plugins.states if state.state == "loaded"}
    for state in plugins.states:
        if state.state in ("missing", "refused"):
            yield Finding(f"plugin {state.name}", "error", f"{state.state}: {state.reason}", "see: homeostasis plugins")
        elif state.state == "not allowed" and (state.name in DEFAULT_PLUGINS or state.distribution not in in_use):
            # An alternative that comes along with a plugin in use, as `reload` with `hotswap`, is no oversight.
            mend = f"to use it, add {state.name!r} to plugins in [tool.homeostasis]"
            yield Finding(f"plugin {state.name}", "warning", f"{state.distribution} is installed but not allowed", mend)
    yield Finding(
        "plugins", "ok" if loaded else "error", ", ".join(loaded) or "none is loaded", "run: homeostasis init"
    )


def _stages(project: Project, plugins: Plugins) -> Iterator[Finding]:
    hooks = {hook: [s.name for s in plugins.states if s.state == "loaded" and hook in s.hooks] for hook in STAGE_HOOKS}
    without = [hook for hook in STAGE_HOOKS if not hooks[hook]]
    if without:
        mend = "install and allow a plugin for each: pip install homeostasis-rules-python homeostasis-sandbox-venv"
        yield Finding("stages", "error", f"no plugin for: {', '.join(without)}", mend)
    else:
        yield Finding("stages", "ok", "each has a plugin")
    chain = project.config.deploy.chain
    absent = [name for name in chain if name not in hooks["deploy"]]
    if absent and project.config.mode != "observe":
        offered = ", ".join(hooks["deploy"]) or "none"
        mend = f"loaded deployers are: {offered}; correct chain in [tool.homeostasis.deploy] or allow the plugin"
        yield Finding("deployment", "error", f"the chain names {', '.join(absent)}, which is not loaded", mend)
    else:
        yield Finding("deployment", "ok", ", then ".join(chain) or "nothing is deployed")


def _isolation(plugins: Plugins) -> Iterator[Finding]:
    if not any(state.name == "sandbox-venv" and state.state == "loaded" for state in plugins.states):
        return
    from importlib import import_module

    level, reason = import_module("homeostasis_sandbox_venv.isolation").probe()
    if reason:
        yield Finding("isolation", "warning", f"{level}: {reason}", "install bubblewrap for network and file walls")
    else:
        yield Finding("isolation", "ok", str(level))


def _git(project: Project) -> Iterator[Finding]:
    wanted = "git-branch" in project.config.deploy.chain
    if shutil.which("git") is None:
        yield Finding("git", "error" if wanted else "warning", "git is not installed", "install git")
        return
    top = repository(project.root)
    if top is None:
        mend = "run: git init && git add . && git commit, or take git-branch out of the chain"
        yield Finding("git", "error" if wanted else "warning", "the project is in no git repository", mend)
        return
    argv = ["git", "-C", str(project.root), "rev-parse", "--verify", "--quiet", "HEAD"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        mend = done.stderr.strip() or "make a first commit"
        yield Finding("git", "error" if wanted else "warning", f"{top} has no commit that can be read", mend)
        return
    yield Finding("git", "ok", f"{top} at {done.stdout.strip()[:10]}")


def _source(project: Project) -> Iterator[Finding]:
    for entry in project.config.source:
        path = project.root / entry
        resolved = path.resolve()
        mend = "correct source in [tool.homeostasis]"
        if resolved != project.root and project.root not in resolved.parents:
            yield Finding("source", "error", f"{entry} lies outside the project", mend)
        elif not path.exists():
            yield Finding("source", "error", f"{entry} does not exist", mend)
        elif path.is_dir() and not next(path.rglob("*.py"), None):
            yield Finding("source", "warning", f"{entry} holds no Python file", mend)
        else:
            yield Finding("source", "ok", str(resolved))


def _app(project: Project) -> Finding:
    if project.config.app:
        return Finding("app", "ok", project.config.app)
    mend = 'set app = "package:create_app()" in [tool.homeostasis]: requests are replayed through it'
    return Finding("app", "warning", "the import path of the app object is not set", mend)


def _interpreter(project: Project) -> Finding:
    workers = live_workers(project)
    given = project.config.python
    if given:
        if shutil.which(given) is None:
            return Finding("interpreter", "error", f"{given} cannot be run", "correct python in [tool.homeostasis]")
        return Finding("interpreter", "ok", given)
    if workers:
        return Finding("interpreter", "ok", f"{workers[0].executable}, as the app runs")
    return Finding("interpreter", "ok", "the one that each event names")


def _tests(project: Project) -> Finding:
    command = project.config.validation.test_command
    if not command:
        mend = 'set test_command = "pytest -q" in [tool.homeostasis.validate]'
        return Finding("tests", "warning", "no test command: patches are not checked against the app's own tests", mend)
    word = command.split()[0]
    python = project.config.python or next((worker.executable for worker in live_workers(project)), None)
    beside = Path(python).parent / word if python else None
    if word.startswith("python") or (beside is not None and beside.exists()) or shutil.which(word) or find_spec(word):
        return Finding("tests", "ok", command)
    mend = "install it in the app's environment, or correct test_command in [tool.homeostasis.validate]"
    return Finding("tests", "warning", f"{word} was not found", mend)


def _monitoring(project: Project) -> Finding:
    workers = live_workers(project)
    if workers:
        pids = ", ".join(str(worker.pid) for worker in workers)
        return Finding(
            "monitoring", "ok", f"{len(workers)} live process{'es' if len(workers) > 1 else ''} (pid {pids})"
        )
    spooled = project.spool.is_dir() and any(project.spool.glob("*.jsonl"))
    if spooled or ((project.state / "ledger.db").is_file() and _heard(project)):
        return Finding("monitoring", "ok", "seen before; no process of the app is running now")
    mend = "add setup_monitoring(app, config={}) or HomeostasisMiddleware to the app and start it in this project"
    return Finding("monitoring", "warning", "no process of the app was ever seen", mend)


def _heard(project: Project) -> bool:
    from homeostasis.ledger import Ledger

    with Ledger.open(project) as ledger:
        return bool(ledger.count() or ledger.heard.samples(project.config.service, 1))


def _orchestrator(project: Project) -> Finding:
    holder = serving(project)
    if holder is not None:
        return Finding("orchestrator", "ok", f"running ({holder})")
    return Finding("orchestrator", "warning", "not running", "start it with: homeostasis run")


def serving(project: Project) -> Optional[str]:
    """The orchestrator that serves the project, such as `process 17`; None if there is none."""
    file = project.state / "orchestrator.lock"
    if file.is_file():
        with file.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read_text(encoding="utf-8").strip() or "unknown process"
    return None
