"""Kills an orchestrator at each of its side effects, starts another one, and looks at what is left.

    python driver.py SCENARIO [FIRST STEP]

Side effects are found while one runs undisturbed: every transaction, every file that is written, renamed, removed or
given other permissions, and every program that is started, before and after. For each of these points a new project is made, an
orchestrator is killed with SIGKILL when it comes to it, and the next one has to bring the work to its end. Prints a line of
JSON for each point, and at last one with the number of points.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator, List, Optional, Set

import sqlalchemy as sa

import homeostasis.builtin.spool
import homeostasis_deploy_git.plugin.branch
import homeostasis_deploy_git.plugin.patch_file
import homeostasis_deploy_git.plugin.working_tree
import homeostasis_deploy_hotswap.plugin.hotswap
from homeostasis import hookimpl
from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.models import (
    Check,
    Completed,
    Diagnosis,
    Effect,
    Event,
    FileEdit,
    Fix,
    Frame,
    Outcome,
    Patch,
    Raised,
    Span,
    State,
    Trial,
)
from homeostasis.plugins import Plugins
from homeostasis.project import Project

BEFORE = b'PRICES = {"tea": 3}\n\n\ndef price(name):\n    return PRICES[name]\n'
BROKEN, MENDED = b"PRICES[name]", b"PRICES.get(name)"
CRASHES = ("a" * 16, "b" * 16)
"""Two crashes, each in a file of its own, that are healed at the same time."""
SETTINGS = """
[tool.homeostasis]
mode = "auto"
plugins = []
[tool.homeostasis.deploy]
chain = ["working-tree", "git-branch", "patch-file"]
[tool.homeostasis.observe]
window = 0
"""
PATIENCE = 60.0
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink")


# --- points


def kill() -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


class Points:
    """Counts the side effects of this process, and does something at one of them.

    Args:
        root: the project; what happens elsewhere does not count.
        number: of the side effect, or None for none.
        act: what is done there, once.
    """

    def __init__(self, root: Path, number: Optional[int], act: Callable[[], None] = kill) -> None:
        self.seen: List[str] = []
        self._root, self._number, self._act = str(root), number, act
        self._acting = False
        self._lock = threading.RLock()

    def watch(self) -> None:
        """From now on; there is no way back."""
        sys.addaudithook(self._audit)
        sa.event.listen(sa.engine.Engine, "commit", lambda connection: self.reached("commit"))
        start = subprocess.Popen.__init__

        def started(popen: Any, *arguments: Any, **options: Any) -> None:
            start(popen, *arguments, **options)
            self.reached("program runs")

        subprocess.Popen.__init__ = started  # type: ignore[method-assign]

    def reached(self, what: str) -> None:
        """A side effect is about to happen, or has just happened."""
        with self._lock:
            if self._acting:
                return
            self.seen.append(what)
            if self._number is not None and len(self.seen) > self._number:
                self._acting, self._number = True, None
                self._act()
                self._acting = False

    def _audit(self, event: str, arguments: Any) -> None:
        if event == "subprocess.Popen":
            self.reached("program starts")
        elif event in _CHANGES and self._is_ours(arguments[0]):
            self.reached(f"{event} {Path(os.fsdecode(arguments[0])).name}")
        elif (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES and self._is_ours(arguments[0])
        ):
            self.reached(f"write {Path(os.fsdecode(arguments[0])).name}")

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(self._root)


# --- a project, and an orchestrator for it that needs no sandbox


def git(root: Path, *words: str) -> str:
    """Run git in the project."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *identity, *words], cwd=root, capture_output=True, text=True, check=True, env=clean)
    return done.stdout


def file_of(fingerprint: str) -> str:
    """The file that a crash lies in."""
    return f"shop_{fingerprint[0]}.py"


def read(project: Project, fingerprint: str) -> bytes:
    """What the file of a crash holds."""
    return (project.root / file_of(fingerprint)).read_bytes()


def make_project(root: Path, settings: str = SETTINGS) -> Project:
    """A repository with two files that crash, and the crashes in the spool."""
    root.mkdir()
    (root / "pyproject.toml").write_text(settings, encoding="utf-8")
    for fingerprint in CRASHES:
        (root / file_of(fingerprint)).write_bytes(BEFORE)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    project = Project.load(root)
    project.spool.mkdir(parents=True)
    records = [{"record": "event", **json.loads(event_of(project, name).model_dump_json())} for name in CRASHES]
    segment_of(project).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return project


def segment_of(project: Project) -> Path:
    """The file in the spool with the crashes."""
    return project.spool / f"1-{os.getpid()}-1.jsonl"


def event_of(project: Project, fingerprint: str) -> Event:
    """A crash."""
    frame = Frame(
        path=str(project.root / file_of(fingerprint)),
        module=file_of(fingerprint)[:-3],
        function="price",
        qualname="price",
        span=Span(line=5, column=11, end_column=23),
        in_app=True,
    )
    raised = Raised(type="KeyError", message="'milk'", bases=("LookupError",), frames=(frame,))
    return Event(id=fingerprint, timestamp=time.time(), fingerprint=fingerprint, service="app", exceptions=(raised,))


class _Runner:
    def run(self, argv: Any, **_: Any) -> Completed:
        return Completed(argv=tuple(argv), returncode=0, stdout="", stderr="", seconds=0.0)

    def close(self) -> None:
        pass


def healer() -> ModuleType:
    """Stages 2 to 5, quickly."""

    @hookimpl
    def homeostasis_analyze(incident: Any) -> List[Diagnosis]:
        path, fix = file_of(incident.fingerprint), Fix(kind="template", id="t")
        return [Diagnosis(rule_id="r", path=path, span=Span(line=5), summary="the key may be missing", fix=fix)]

    @hookimpl
    def homeostasis_patch(diagnosis: Diagnosis, source: Any) -> List[Patch]:
        before = source.read(diagnosis.path)
        edit = FileEdit(path=diagnosis.path, before=before, after=before.replace(BROKEN, MENDED))
        return [Patch(id="p", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary=f"Mend {diagnosis.path}")]

    @hookimpl
    def homeostasis_sandbox(patch: Any, project: Project) -> Trial:
        return Trial(root=project.root, python="python", isolation="none", patch=patch, runner=_Runner())

    @hookimpl
    def homeostasis_validate() -> Check:
        return Check(name="agrees", outcome=Outcome.ACCEPTED, required=True)

    made = ModuleType("healer")
    for hook in (homeostasis_analyze, homeostasis_patch, homeostasis_sandbox, homeostasis_validate):
        setattr(made, hook.__name__, hook)
    return made


def engine_of(project: Project, ledger: Ledger) -> Engine:
    """An engine with the healer, the spool and the real deployers."""
    plugins = Plugins(project)
    modules = {
        "spool": homeostasis.builtin.spool,
        "healer": healer(),
        "working-tree": homeostasis_deploy_git.plugin.working_tree,
        "git-branch": homeostasis_deploy_git.plugin.branch,
        "hotswap": homeostasis_deploy_hotswap.plugin.hotswap,
        "patch-file": homeostasis_deploy_git.plugin.patch_file,
    }
    for name, module in modules.items():
        refused = plugins.add(name, module)
        assert refused is None, refused
    plugins.read_tables()
    return Engine(project, plugins, ledger, lambda notice: None)


def serve(project: Project, wanted: Callable[[State], bool], patience: float = PATIENCE) -> None:
    """Be the orchestrator until both crashes are in a wanted state, or for so many seconds."""
    stop, deadline = threading.Event(), time.monotonic() + patience
    with Ledger.open(project) as ledger, Ledger.open(project) as watching:

        def watch() -> None:
            try:
                while time.monotonic() < deadline:
                    states = [incident.state for incident in watching.incidents()]
                    if len(states) == len(CRASHES) and all(map(wanted, states)):
                        break
                    time.sleep(0.01)
            finally:
                stop.set()

        thread = threading.Thread(target=watch)
        thread.start()
        engine_of(project, ledger).serve(stop)
        thread.join()


def heal(project: Project) -> None:
    """From the spool to healed."""
    serve(project, lambda state: state is State.HEALED)


def roll_back(project: Project) -> None:
    """A person takes both releases back, or has done so before."""
    with Ledger.open(project) as ledger:
        engine = engine_of(project, ledger)
        for incident in ledger.incidents():
            if incident.state is not State.ROLLED_BACK:
                engine.rollback(incident.id, "user:ann", "no")


SCENARIOS = {"heal": heal, "rollback": roll_back}


# --- processes


def in_child(work: Callable[[], None]) -> int:
    """Do something in a child; returns its exit status, negative for a signal. Nothing runs in this process meanwhile."""
    pid = os.fork()
    if pid == 0:
        status = 1
        signal.alarm(int(PATIENCE) * 2)  # whatever hangs is ended, and told by its status
        try:
            work()
            status = 0
        except BaseException as error:  # told by the status, and to whoever reads the log
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def prepared(directory: Path, scenario: str) -> Project:
    """A project at the beginning of a scenario."""
    project = make_project(directory)
    if scenario == "rollback":
        assert in_child(lambda: heal(project)) == 0
    return project


def find_points(scenario: str) -> List[str]:
    """All side effects of an undisturbed run."""
    with tempfile.TemporaryDirectory() as directory:
        project, listing = prepared(Path(directory) / "project", scenario), Path(directory) / "points"

        def run() -> None:
            points = Points(project.root, None)
            points.watch()
            SCENARIOS[scenario](project)
            listing.write_text(json.dumps(points.seen), encoding="utf-8")

        assert in_child(run) == 0
        found: List[str] = json.loads(listing.read_text(encoding="utf-8"))
        return found


def try_point(scenario: str, number: int) -> List[str]:
    """Kill at a point, go on, and return what is wrong afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        project = prepared(Path(directory) / "project", scenario)

        def killed() -> None:
            Points(project.root, number).watch()
            SCENARIOS[scenario](project)

        first = in_child(killed)
        if first not in (0, -signal.SIGKILL):
            return [f"the first orchestrator ended with {first}"]
        again = in_child(lambda: SCENARIOS[scenario](project))
        if again:
            return [f"the second orchestrator ended with {again}"]
        return list(problems(project, scenario))


# --- what must hold


def problems(project: Project, scenario: str) -> Iterator[str]:
    """What is half done, lost, done twice or stuck; all is to be healed, or all rolled back."""
    wanted = State.HEALED if scenario == "heal" else State.ROLLED_BACK
    yield from inconsistencies(project)
    with Ledger.open(project) as ledger:
        states = {incident.fingerprint: incident.state.value for incident in ledger.incidents()}
    if states != dict.fromkeys(CRASHES, wanted.value):
        yield f"the states are {states}"
    expected = BEFORE.replace(BROKEN, MENDED) if scenario == "heal" else BEFORE
    yield from (f"{file_of(name)} differs" for name in CRASHES if read(project, name) != expected)


def inconsistencies(project: Project) -> Iterator[str]:
    """Where ledger, tree and repository do not agree, or an incident is lost, counted twice, or has not ended."""
    patched, commits = set(), set()
    with Ledger.open(project) as ledger:
        yield from ledger.audit.verify().problems
        incidents = ledger.incidents()
        if sorted(incident.fingerprint for incident in incidents) != sorted(CRASHES):
            yield f"incidents {[incident.fingerprint for incident in incidents]}"
        for incident in incidents:
            release = ledger.release(incident.id)
            healed = incident.state is State.HEALED
            steps = {step.state for step in release.steps} if release else set()
            live = release is not None and release.state == "live"
            if not incident.state.ended or live != healed or steps - {"done" if healed else "undone"}:
                yield f"{incident.fingerprint} is {incident.state.value}, its release {release}"
            if incident.count != 1:
                yield f"{incident.fingerprint} was counted {incident.count} times"
            if healed and release is not None:
                patched.add(incident.fingerprint)
                commits.add(str(release.fact("commit")))
            with ledger.connect() as connection:
                query = "select count(*) from releases where incident_id = ? and state in ('live', 'deploying')"
                if connection.exec_driver_sql(query, (incident.id,)).scalar() != int(healed):
                    yield f"{incident.fingerprint} has several live releases"
    yield from unlike_the_ledger(project)
    yield from _differences(project, patched, commits)


def unlike_the_ledger(project: Project) -> Iterator[str]:
    """The files that are patched though their incident is not healed, or the other way round."""
    with Ledger.open(project) as ledger:
        patched = {incident.fingerprint for incident in ledger.incidents() if incident.state is State.HEALED}
    for fingerprint in CRASHES:
        text = read(project, fingerprint)
        if (MENDED in text, BROKEN in text) != (fingerprint in patched, fingerprint not in patched):
            yield f"{file_of(fingerprint)} holds something else: {text!r}"


def _differences(project: Project, patched: Set[str], commits: Set[str]) -> Iterator[str]:
    """What is left in the repository and beside it that the ledger does not know."""
    heads = set(git(project.root, "for-each-ref", "--format=%(objectname)", "refs/heads/homeostasis").split())
    if heads != commits:
        yield f"branches at {heads}, commits {commits}"
    patches = list((project.state / "patches").glob("*"))
    if len(patches) != len(patched):
        yield f"patch files {sorted(path.name for path in patches)}"
    known = {".git", ".homeostasis", "pyproject.toml", *(file_of(name) for name in CRASHES)}
    known |= {"__pycache__"}  # live workers compile what they import
    left = {path.name for path in project.root.iterdir()} - known
    if left:
        yield f"left behind: {sorted(left)}"


def main() -> None:
    """Try the points `FIRST`, `FIRST + STEP`, ..."""
    scenario = sys.argv[1]
    first, step = (int(word) for word in sys.argv[2:4]) if len(sys.argv) > 2 else (0, 1)
    found = find_points(scenario)
    for number in range(first, len(found), step):
        wrong = try_point(scenario, number)
        print(json.dumps({"point": number, "what": found[number], "problems": wrong}), flush=True)
    print(json.dumps({"points": len(found)}), flush=True)


if __name__ == "__main__":
    main()
