"""Lets something go wrong at a side effect of an orchestrator, and looks at what is left when the next one has worked.

    python mishaps.py NAME [FIRST STEP]

For the names see `MISHAPS`. Prints a line of JSON for each point, and at last one with the number of points, or with
`skipped`, a reason, where this system cannot do it.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple

from driver import (
    CRASHES,
    PATIENCE,
    SETTINGS,
    Points,
    engine_of,
    file_of,
    heal,
    in_child,
    inconsistencies,
    kill,
    make_project,
    problems,
    read,
    roll_back,
    segment_of,
    serve,
    unlike_the_ledger,
)

from homeostasis.errors import HomeostasisError, UsageError
from homeostasis.ledger import Ledger
from homeostasis.monitoring import workers
from homeostasis.monitoring.redaction import Redactor
from homeostasis.project import Project
from homeostasis.workers import live_workers
from homeostasis_deploy_hotswap.workers import ask, files_of

SHORT = 1.0
"""Seconds that an orchestrator gets which cannot come to an end."""


def nothing(_: Project) -> None:
    """That is all."""


def to_the_end(project: Project) -> None:
    """Be the orchestrator until both incidents have ended, one way or the other."""
    serve(project, lambda state: state.ended)


class Mishap(NamedTuple):
    """What goes wrong, and what is left of it.

    Attributes:
        happen: done at the side effect, within the orchestrator; the number tells which one.
        left: says what is wrong in the end.
        work: what the first orchestrator does.
        before: done to the project before it begins.
        after: done when it has ended.
        beside: what another process does at the same time.
        finish: what the next orchestrator does.
        end: done at last.
        settings: of the project.
    """

    happen: Callable[[Project, int], None]
    left: Callable[[Project], Iterator[str]]
    work: Callable[[Project], None] = to_the_end
    before: Callable[[Project], None] = nothing
    after: Callable[[Project], None] = nothing
    beside: Callable[[Project], None] = nothing
    finish: Callable[[Project], None] = to_the_end
    end: Callable[[Project], None] = nothing
    settings: str = SETTINGS


def die(_: Project, __: int) -> None:
    """At once, without a farewell."""
    kill()


def is_healed(project: Project) -> Iterator[str]:
    """Both crashes are healed."""
    return problems(project, "heal")


# --- the disk is full

DISK = 8 * 1024 * 1024
"""Bytes of the small disk."""
SMALL_DISK = "HOMEOSTASIS_TEST_SMALL_DISK"


def ballast_of(project: Project) -> Path:
    """Beside the project, on the same disk."""
    return project.root.parent / "ballast"


def fill_disk(project: Project, _: int) -> None:
    """Take all the room that is left on the project's disk."""
    with ballast_of(project).open("wb", buffering=0) as stream:
        for size in (65536, 512, 1):
            try:
                while True:
                    stream.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def make_room(project: Project) -> None:
    """Somebody has cleaned up."""
    ballast_of(project).unlink(missing_ok=True)


def work_for_a_moment(project: Project) -> None:
    """Be the orchestrator, but not for long: it cannot come to an end."""
    serve(project, lambda state: state.ended, SHORT)


def heal_first(project: Project) -> None:
    """Both crashes are healed when it begins."""
    if in_child(lambda: heal(project)):
        raise RuntimeError("healing failed before anything went wrong")


def try_to_roll_back(project: Project) -> None:
    """A person rolls back, and may read that it does not work."""
    with Ledger.open(project) as ledger:
        engine = engine_of(project, ledger)
        for incident in ledger.incidents():
            try:
                engine.rollback(incident.id, "user:ann", "no")
            except HomeostasisError as error:
                sys.stderr.write(f"{error}\n")


def is_rolled_back(project: Project) -> Iterator[str]:
    """Both releases are taken back."""
    return problems(project, "rollback")


# --- the spool is damaged

GARBAGE = (
    b"\x00\xff\xfe\n",
    b'{"record": "event"}\n',
    b'{"record": "event", "id": \n',
    b"[" * 100_000 + b"\n",
    b'{"record": "recurrence", "fingerprint": "' + b"a" * 16 + b'", "count": "many", "last_seen": 1}\n',
    b'{"record": "nothing that is known"}\n',
    b"\n",
)


def damage_spool(project: Project) -> None:
    """Put garbage before, between and after the records."""
    segment, garbage = segment_of(project), b"".join(GARBAGE)
    first, second = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(garbage + first + garbage + second + garbage)


def is_healed_and_losses_are_counted(project: Project) -> Iterator[str]:
    """Each damaged line counts as lost, once."""
    yield from is_healed(project)
    with Ledger.open(project) as ledger:
        drops = {row["reason"]: row["count"] for row in ledger.sources.dropped()}
    if drops != {"unreadable record": 3 * len(GARBAGE)}:
        yield f"dropped {drops}"


# --- the files are edited meanwhile

COMMENT = b"# by hand\n"


def edit(project: Project, _: int) -> None:
    """Somebody saves both files, as editors do: a new one takes the place of the old one."""
    for name in CRASHES:
        beside = project.root.parent / file_of(name)
        beside.write_bytes(COMMENT + read(project, name))
        beside.replace(project.root / file_of(name))


def keeps_the_edit(project: Project) -> Iterator[str]:
    """Ledger and files agree, and what was written by hand is there."""
    yield from inconsistencies(project)
    yield from (f"{file_of(name)} lost the edit" for name in CRASHES if not read(project, name).startswith(COMMENT))


# --- the repository is removed


def away(project: Project) -> Path:
    """Where the repository is meanwhile."""
    return project.root.parent / "repository"


def remove_repository(project: Project, _: int) -> None:
    """Such as by a disk that is not mounted any more."""
    (project.root / ".git").rename(away(project))


def is_consistent_without_and_with_it(project: Project) -> Iterator[str]:
    """The files agree with the ledger without it, and it does too once it is back."""
    yield from unlike_the_ledger(project)
    if away(project).exists():
        away(project).rename(project.root / ".git")
    if in_child(lambda: to_the_end(project)):
        yield "the third orchestrator failed"
    yield from inconsistencies(project)


# --- the clock is set

WATCHED = SETTINGS.replace("window = 0", "window = 0.3")
DAY = 86400.0


def set_clock(_: Project, number: int) -> None:
    """By a day: forth at even points, back at odd ones."""
    real, step = time.time, DAY if number % 2 == 0 else -DAY
    time.time = lambda: real() + step


# --- live workers

SWAPPED = SETTINGS.replace('"git-branch"', '"hotswap", "git-branch"')
WORKERS = 2


def start_workers(project: Project) -> None:
    """Processes that have imported the code, and that an orchestrator can reach."""
    pids = []
    for _ in range(WORKERS):
        pid = os.fork()
        if pid == 0:
            be_worker(project)
        pids.append(pid)
    (project.root.parent / "workers").write_text(json.dumps(pids), encoding="utf-8")
    deadline = time.monotonic() + PATIENCE
    while len(live_workers(project)) < WORKERS:
        if time.monotonic() > deadline:
            raise TimeoutError("the workers did not register")
        time.sleep(0.01)


def be_worker(project: Project) -> None:
    """Import the code, register, and wait for the end."""
    try:
        sys.path.insert(0, str(project.root))
        for name in CRASHES:
            importlib.import_module(Path(file_of(name)).stem)
        workers.load_control()
        workers.register(str(project.root), "app", Redactor(()))
        signal.alarm(int(PATIENCE) * 4)
        signal.pause()
    finally:
        os._exit(1)


def stop_workers(project: Project) -> None:
    """They are not needed any more."""
    for pid in json.loads((project.root.parent / "workers").read_text(encoding="utf-8")):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def workers_and_a_release(project: Project) -> None:
    """Both crashes are healed, also in live workers, when it begins."""
    start_workers(project)
    heal_first(project)


def is_healed_in_the_workers_too(project: Project) -> Iterator[str]:
    """Each worker runs the patched code, by one release for each crash."""
    yield from is_healed(project)
    yield from _in_the_workers(project, patched=True)


def is_rolled_back_in_the_workers_too(project: Project) -> Iterator[str]:
    """Each worker runs the old code, and has no release."""
    yield from is_rolled_back(project)
    yield from _in_the_workers(project, patched=False)


def _in_the_workers(project: Project, *, patched: bool) -> Iterator[str]:
    living = live_workers(project)
    if len(living) != WORKERS:
        yield f"{len(living)} workers live"
    with Ledger.open(project) as ledger:
        patches = [ledger.patch(incident.id) for incident in ledger.incidents()]
    for worker in living:
        for patch in patches:
            files = files_of(patch, reverse=not patched) if patch else []
            if not ask(worker, project, {"do": "verify", "files": files}, 10.0).get("runs"):
                yield f"worker {worker.pid} does not run {files}"
        releases = ask(worker, project, {"do": "status"}, 10.0)["releases"]
        if len(releases) != (len(CRASHES) if patched else 0):
            yield f"worker {worker.pid} has the releases {releases}"


# --- two orchestrators


def serve_next(project: Project) -> None:
    """Be the orchestrator as soon as the other one is gone; it gets a moment to be first."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        time.sleep(0.02)
        if not (project.state / "orchestrator.lock").exists() and time.monotonic() - begun < SHORT:
            continue
        try:
            return to_the_end(project)
        except UsageError:
            continue
    raise TimeoutError("the other orchestrator never ended")


MISHAPS = {
    "full disk": Mishap(fill_disk, inconsistencies, work=work_for_a_moment, after=make_room),
    "full disk, rollback": Mishap(
        fill_disk,
        is_rolled_back,
        work=try_to_roll_back,
        before=heal_first,
        after=make_room,
        finish=lambda project: (to_the_end(project), roll_back(project))[0],
    ),
    "damaged spool": Mishap(die, is_healed_and_losses_are_counted, before=damage_spool),
    "edited files": Mishap(edit, keeps_the_edit),
    "removed repository": Mishap(remove_repository, is_consistent_without_and_with_it),
    "clock": Mishap(set_clock, is_healed, settings=WATCHED),
    "live workers": Mishap(die, is_healed_in_the_workers_too, before=start_workers, end=stop_workers, settings=SWAPPED),
    "live workers, rollback": Mishap(
        die,
        is_rolled_back_in_the_workers_too,
        work=roll_back,
        before=workers_and_a_release,
        finish=roll_back,
        end=stop_workers,
        settings=SWAPPED,
    ),
    "two orchestrators": Mishap(die, is_healed, beside=serve_next),
}


# --- running them


def find_points(mishap: Mishap) -> List[str]:
    """All side effects of the first orchestrator, if nothing goes wrong."""
    with tempfile.TemporaryDirectory() as directory:
        project, listing = prepared(Path(directory) / "project", mishap), Path(directory) / "points"

        def run() -> None:
            points = Points(project.root, None)
            points.watch()
            mishap.work(project)
            listing.write_text(json.dumps(points.seen), encoding="utf-8")

        failed = in_child(run)
        mishap.end(project)
        if failed:
            raise RuntimeError("it failed before anything went wrong")
        found: List[str] = json.loads(listing.read_text(encoding="utf-8"))
        return found


def prepared(root: Path, mishap: Mishap) -> Project:
    """A project at the beginning."""
    project = make_project(root, mishap.settings)
    mishap.before(project)
    return project


def try_point(mishap: Mishap, number: int) -> List[str]:
    """Let it happen at a point, go on, and return what is wrong afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        project = prepared(Path(directory) / "project", mishap)

        def work() -> None:
            Points(project.root, number, lambda: mishap.happen(project, number)).watch()
            mishap.work(project)

        other = os.fork()
        if other == 0:
            os._exit(in_child(lambda: mishap.beside(project)) != 0)
        ended = in_child(work)
        beside = os.waitpid(other, 0)[1]
        mishap.after(project)
        again = in_child(lambda: mishap.finish(project))
        statuses = {
            "the first orchestrator hung": ended == -signal.SIGALRM,
            "the first orchestrator failed": ended and mishap.happen not in (die, fill_disk),
            "the other one failed": beside,
            "the next one failed": again,
        }
        wrong = [what for what, found in statuses.items() if found] + list(mishap.left(project))
        mishap.end(project)
        return wrong


def can_happen(what: str, name: str) -> bool:
    """Whether anything can be done about it: between the last look at a file and its replacement, nothing can."""
    return not (name == "edited files" and what.startswith("os.rename .shop_"))


def on_a_small_disk() -> bool:
    """Whether temporary files lie on a small disk; if not, this program is started anew, with one of its own."""
    directory = os.environ.get(SMALL_DISK)
    if directory is not None:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", directory]
        subprocess.run(mount, check=True)
        tempfile.tempdir = os.environ["TMPDIR"] = directory
        return True
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    probe = [*apart, "sh", "-c", 'mount -t tmpfs none "$0"']
    with tempfile.TemporaryDirectory() as directory:
        try:
            if subprocess.run([*probe, directory], capture_output=True, check=False).returncode:
                return False
        except FileNotFoundError:
            return False
        again = [*apart, sys.executable, *sys.argv]
        sys.exit(subprocess.run(again, env={**os.environ, SMALL_DISK: directory}, check=False).returncode)


def main() -> None:
    """Try the points `FIRST`, `FIRST + STEP`, ..."""
    name = sys.argv[1]
    first, step = (int(word) for word in sys.argv[2:4]) if len(sys.argv) > 2 else (0, 1)
    if name.startswith("full disk") and not on_a_small_disk():
        print(json.dumps({"skipped": "no file system can be mounted here"}))
        return
    mishap = MISHAPS[name]
    found = [(number, what) for number, what in enumerate(find_points(mishap)) if can_happen(what, name)]
    for number, what in found[first::step]:
        print(json.dumps({"point": number, "what": what, "problems": try_point(mishap, number)}), flush=True)
    print(json.dumps({"points": len(found)}), flush=True)


if __name__ == "__main__":
    main()
