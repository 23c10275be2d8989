"""The zygote: runs that are forked from it show what fresh processes show, and what cannot be forked is noticed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import venv
from contextlib import closing
from pathlib import Path

import pytest

from homeostasis.errors import PatchConflict
from homeostasis.models import Effect, FileEdit, Patch
from homeostasis.project import Project
from homeostasis_sandbox_venv import directories, isolation, zygotes

pytestmark = pytest.mark.skipif(isolation.probe()[0] != "bubblewrap", reason=isolation.probe()[1] or "-")

RUNNER = "import sys\nexec(sys.stdin.read())\n"
"""A module of the app that runs what it is given: a zygote forks modules only."""


@pytest.fixture
def warmed(trial_of):
    """Makes a trial of the unpatched app and waits until its zygote is ready, or is known not to be."""

    def make(project, module="runner", stdin="import wave", **settings):
        trial = trial_of(project, **settings)
        trial.warm_up(["{python}", "-m", module], stdin=stdin)
        deadline = time.monotonic() + 120
        while trial.warmth().reason == zygotes.MAKING:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return trial

    yield make
    zygotes.end_all()


def run(trial, code, module="runner", **options):
    """In a fork, and nowhere else."""
    done = trial.run(["{python}", "-m", module], stdin=textwrap.dedent(code), warm=True, **options)
    assert done.warm, trial.warmth()
    return done


def patch_of(project, path, after):
    edit = FileEdit(path=path, before=(project.root / path).read_bytes(), after=after.encode())
    return Patch(id="p", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="s")


# --- what it imports


def test_libraries_are_there_and_modules_of_the_project_are_not(make_project, warmed):
    """A candidate changes the project's, so that each run imports them afresh, in its own order."""
    project = make_project({"runner.py": RUNNER, "shop.py": "import wave\n"})
    trial = warmed(project, stdin="import shop")
    assert trial.warmth() == (True, "")
    code = "print([name in sys.modules for name in ('wave', 'shop', 'runner')])"
    assert run(trial, code).stdout == "[True, False, False]\n"
    assert "[False, False, False]" in trial.run(["{python}", "-m", "runner"], stdin=code).stdout


SHOW = """
import json, os, resource, sys
limits = [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE)]
status = [l for l in open("/proc/self/status") if l.startswith(("Cap", "Uid", "Gid", "NoNewPrivs"))]
print(json.dumps([os.getcwd(), sys.argv[1:], sys.path, dict(os.environ), limits, status, __name__, os.listdir(),
    sorted(os.listdir("/proc/self/fd"))[:3], hash("tea"), sys.flags.hash_randomization, os.getsid(0) > 0,
    [os.path.exists(p) for p in (os.environ["HOME"], "/tmp", "/dev/shm")], sys.executable, sys.prefix]))
"""


def test_a_fork_is_like_a_fresh_process(make_project, warmed):
    """Directory, arguments, path, environment, limits, rights, descriptors, prefixes: all but the trial's own place."""
    project = make_project({"runner.py": RUNNER, "below/x.txt": "", ".git/config": "", "src/lib.py": ""})
    trial = warmed(project)
    options = {"stdin": SHOW, "env": {"WORD": "tea"}, "cwd": "below"}
    words = ["{python}", "-m", "runner", "one", "--two"]
    shown = []
    for warm in (False, True):
        done = trial.run(words, warm=warm, **options)
        assert (done.returncode, done.warm) == (0, warm), done.stderr
        own = json.loads(done.stdout)[3][directories.TOKEN]
        shown.append(json.loads(done.stdout.replace(own, "<trial>")))
    for fresh, forked in zip(*shown):
        assert forked == fresh


def test_output_status_and_signals_come_back(make_project, warmed):
    """Exit status, output and errors, also of a run that kills itself or ends without ceremony."""
    trial = warmed(make_project({"runner.py": RUNNER}))
    done = run(trial, "print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert run(trial, "import os; os._exit(4)").returncode == 4
    assert run(trial, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)").returncode == -signal.SIGTERM
    failed = run(trial, "1 / 0")
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")
    assert len(run(trial, "print('x' * 300_000)").stdout) == 300_001


def test_a_run_that_hangs_is_ended(make_project, warmed):
    """With all that it has started, and however it defends itself; the zygote goes on."""
    trial = warmed(make_project({"runner.py": RUNNER}))
    code = "import os, signal, time\nos.fork()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(1, flush=True)\ntime.sleep(600)"
    done = run(trial, code, timeout=1.5)
    assert (done.timed_out, done.returncode) == (True, -signal.SIGKILL)
    assert run(trial, "print(2)").stdout == "2\n"


def test_runs_go_side_by_side(make_project, warmed):
    """One is answered while another one goes on."""
    trial = warmed(make_project({"runner.py": RUNNER}))
    options = {"stdin": "import time; time.sleep(600)", "env": {}, "cwd": ".", "timeout": 600}
    longer = threading.Thread(target=trial.runner.run_warm, args=([trial.python, "-m", "runner"],), kwargs=options)
    longer.start()
    assert run(trial, "print(2)").stdout == "2\n"
    assert longer.is_alive()
    zygotes.end_all()
    longer.join(60)
    assert not longer.is_alive(), "it ends with the zygote"


def test_another_version_of_python(make_project, warmed):
    """The zygote's program runs in the app's interpreter, whatever the orchestrator's is."""
    found = next((p for p in map(_python, ("3.8", "3.13", "3.12", "3.10")) if p), None)
    if found is None:
        pytest.skip("no other interpreter here")
    trial = warmed(make_project({"runner.py": RUNNER}, found))
    assert run(trial, "print(sys.version_info[:2])").stdout != f"{sys.version_info[:2]}\n"


def _python(version):
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return None
    found = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    return str(found[0]) if found else None


# --- patches and trees


def test_a_candidate_shows_its_patch_and_leaves_the_live_tree_alone(make_project, trial_of, warmed):
    """Also when the byte code of the live file would still look valid."""
    project = make_project({"runner.py": RUNNER, "shop/__init__.py": "", "shop/tea.py": "PRICE = 1\n"})
    warmed(project, stdin="import shop.tea")
    live = project.root / "shop" / "tea.py"
    subprocess.run([sys.executable, "-c", "import shop.tea"], cwd=project.root, check=True)
    trial = trial_of(project, patch_of(project, "shop/tea.py", "PRICE = 2\n"))
    code = "import os, shop.tea; print(shop.tea.PRICE, open('shop/tea.py').read(), sorted(os.listdir('shop')))"
    assert run(trial, code).stdout.startswith("2 PRICE = 2\n")
    assert live.read_text() == "PRICE = 1\n"


def test_a_candidate_needs_no_tree_until_a_fresh_process_does(make_project, trial_of, warmed):
    """One that its replay rejects costs no copy."""
    project = make_project({"runner.py": RUNNER, "shop.py": "A = 1\n"})
    warmed(project)
    trial = trial_of(project, patch_of(project, "shop.py", "A = 2\n"))
    run(trial, "import shop")
    assert list(trial.runner.directory.iterdir()) == []
    code = "import shop; print(shop.A)"
    assert trial.run(["{python}", "-c", code]).stdout == "2\n"


def test_a_patch_that_does_not_fit_is_refused_at_once(make_project, trial_of, warmed):
    """As it is without a zygote."""
    project = make_project({"runner.py": RUNNER, "shop.py": "A = 1\n"})
    warmed(project)
    patch = patch_of(project, "shop.py", "A = 2\n")
    (project.root / "shop.py").write_text("A = 3\n")
    with pytest.raises(PatchConflict):
        trial_of(project, patch)


def test_sources_that_change_meanwhile_are_not_mixed(make_project, warmed):
    """A heal that is deployed during a run makes its answer worthless: it is asked again, in a fresh process."""
    project = make_project({"runner.py": RUNNER, "shop.py": "A = 1\n"})
    trial = warmed(project)
    (project.root / "shop.py").write_text("A = 22\n")
    assert not trial.run(["{python}", "-m", "runner"], stdin="", warm=True).warm


def test_what_is_no_part_of_the_program_is_hidden(make_project, warmed):
    """The ledger above all."""
    project = make_project({"runner.py": RUNNER, ".git/config": "", "web/node_modules/x.js": "", "a/b.txt": ""})
    (project.state / "ledger.db").write_text("secret")
    trial = warmed(project)
    code = "import os; print([os.path.exists(p) for p in ('.git', '.homeostasis', 'web/node_modules', 'a/b.txt')])"
    assert run(trial, code).stdout == "[False, False, False, True]\n"


def test_an_environment_in_the_project_is_used_and_its_packages_are_libraries(make_project, warmed):
    """Though it lies below the root, and the rest of the tree is each run's own."""
    project = make_project({"runner.py": RUNNER}, ".venv/bin/python")
    venv.create(project.root / ".venv", symlinks=True)
    packages = next((project.root / ".venv" / "lib").glob("python*/site-packages"))
    (packages / "tea.py").write_text("PRICE = 1\n")
    trial = warmed(project, stdin="import tea")
    code = "print('tea' in sys.modules); import tea; print(tea.__file__, open('.venv/pyvenv.cfg').readable())"
    assert run(trial, code).stdout == f"True\n{packages / 'tea.py'} True\n"
    (packages / "tea.py").write_text("PRICE = 22\n")
    assert trial.warmth() == (False, "the app's environment has changed")


@pytest.mark.skipif(os.getuid() != 0, reason="needs a directory that is neither a home nor temporary")
def test_a_project_that_lies_elsewhere(make_project, warmed, tmp_path, monkeypatch):
    """Such as below /srv, where the walls hide nothing."""
    with tempfile.TemporaryDirectory(dir="/srv") as place:
        shutil.move(str(make_project({"runner.py": RUNNER, "shop.py": "A = 1\n"}).root), f"{place}/app")
        project = Project.load(Path(place, "app"))
        (project.state / "ledger.db").write_text("secret")
        trial = warmed(project)
        code = "import os, shop; open('new', 'w').close(); print(shop.A, os.getcwd(), os.path.exists('.homeostasis'))"
        assert run(trial, code).stdout == f"1 {project.root} False\n"
        assert sorted(path.name for path in project.root.iterdir()) == [
            ".homeostasis",
            "pyproject.toml",
            "runner.py",
            "shop.py",
        ]
        zygotes.end_all()


# --- when forking is not safe


def library(make_project, tmp_path, body, app="import lib"):
    """A project, and settings under which it imports a library from outside."""
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "lib.py").write_text(textwrap.dedent(body))
    project = make_project({"runner.py": RUNNER, "shop.py": app})
    return project, {"env": {"PYTHONPATH": str(tmp_path / "libs")}, "read_only": (str(tmp_path / "libs"),)}


UNSAFE = {
    "starts 1 thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "opens socket:": "import socket\nheld = socket.socket()",
    "opens pipe:": "import os\nends = os.pipe()",
    "starts a process": "import subprocess\nchild = subprocess.Popen(['sleep', '600'])",
    "of the project": "import settings_of_app",
    "gevent has patched": "import sys, types\nsys.modules['gevent.monkey'] = m = types.ModuleType('m')\nm.saved = {'socket': 1}",
}


@pytest.mark.parametrize("reason", UNSAFE)
def test_a_library_that_does_not_survive_a_fork_is_noticed(make_project, warmed, tmp_path, reason):
    """It says which and why, and runs use fresh processes."""
    project, settings = library(make_project, tmp_path, UNSAFE[reason])
    (project.root / "settings_of_app.py").write_text("A = 1\n")
    trial = warmed(project, stdin="import shop", **settings)
    ready, said = trial.warmth()
    assert not ready
    assert reason in said
    done = trial.run(["{python}", "-m", "runner"], stdin="import shop; print('fresh')", warm=True)
    assert (done.warm, done.stdout) == (False, "fresh\n")


def test_what_the_app_starts_itself_is_no_obstacle(make_project, warmed):
    """Its modules are imported after the fork, so its threads and connections are each run's own."""
    app = "import socket, threading, time\ns = socket.socket()\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    trial = warmed(make_project({"runner.py": RUNNER, "shop.py": app}), stdin="import os, shop; os._exit(0)")
    assert (
        run(trial, "import os, shop, threading; print(threading.active_count(), flush=True); os._exit(0)").stdout
        == "2\n"
    )


FORGERIES = {"no JSON": "b'{'", "too deep": "b'[' * 100000", "no list": "b'{\"modules\": 1}'"}
"""Name to what an app writes where the report of its imports comes."""


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_report_of_imports_does_no_harm(make_project, warmed, forgery):
    """The app is not warmed by it, and says so if there is none."""
    forge = f"""
        import os, signal
        for name in os.listdir("/proc/self/fd"):
            if "memfd:imported" in os.path.realpath("/proc/self/fd/" + name):
                os.pwrite(int(name), {FORGERIES[forgery]}, 0)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    project = make_project({"runner.py": RUNNER})
    trial = warmed(project, stdin=textwrap.dedent(forge))
    readable = forgery == "no list"
    assert trial.warmth() == (readable, "" if readable else "what it imports could not be found out")


def test_settings_that_need_a_prepared_tree_use_fresh_processes(make_project, warmed):
    """And say so."""
    project = make_project({"runner.py": RUNNER})
    trial = warmed(project, setup=(f"{sys.executable} -c pass",))
    assert trial.warmth() == (False, "setup in [tool.homeostasis.sandbox-venv] needs fresh processes")
    (project.root / "shop.db").write_bytes(b"SQLite format 3\0" + bytes(9 << 20))
    assert "too large" in warmed(project).warmth().reason


def test_a_candidate_that_was_made_before_the_zygote_survives_a_heal(make_project, warmed, trial_of):
    """Its tree was pinned when it was made; over the new one the patch would not fit."""
    project = make_project({"runner.py": RUNNER, "shop.py": "TEA = 1\n"})
    early = trial_of(project, patch_of(project, "shop.py", "TEA = 2\n"))
    warmed(project)
    (project.root / "shop.py").write_text("TEA = 666\n")
    done = early.run(["{python}", "-m", "runner"], stdin="import shop; print(shop.TEA)", warm=True)
    assert (done.warm, done.stdout) == (False, "2\n")


def test_databases_and_seed_files_are_each_run_s_own(make_project, warmed, trial_of):
    """In one consistent state, with what is only in the live log; nothing that a run writes reaches another one."""
    project = make_project({"runner.py": RUNNER, "seed.txt": "seed"})
    with closing(sqlite3.connect(project.root / "shop.db")) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("CREATE TABLE tea (price)")
        live.execute("INSERT INTO tea VALUES (3)")
        live.commit()
        trial = warmed(project, files={"conf/copied.txt": "seed.txt"})
        code = """
            import os, sqlite3
            db = sqlite3.connect("shop.db")
            print(open("conf/copied.txt").read(), db.execute("SELECT price FROM tea").fetchall())
            db.execute("DELETE FROM tea"); db.commit()
            print(db.execute("SELECT count(*) FROM tea").fetchall())
            """
        for _ in range(2):
            done = run(trial, code)
            assert done.stdout == "seed [(3,)]\n[(0,)]\n", done.stderr
        assert live.execute("SELECT price FROM tea").fetchall() == [(3,)]


@pytest.mark.parametrize("level", ["landlock", "rlimits"])
def test_other_levels_use_fresh_processes(make_project, warmed, monkeypatch, level):
    """Without namespaces there is nothing to fork into."""
    monkeypatch.setattr(isolation, "probe", lambda: (level, "chosen by the test"))
    assert warmed(make_project({"runner.py": RUNNER})).warmth() == (
        False,
        f"a warm interpreter needs bubblewrap, not {level}",
    )


# --- its life


def test_a_zygote_that_has_died_is_replaced(make_project, warmed, trial_of):
    """Meanwhile fresh processes answer."""
    project = make_project({"runner.py": RUNNER})
    trial = warmed(project)
    zygotes._kept[project.root].zygote._process.kill()
    zygotes._kept[project.root].zygote._process.wait()
    assert not trial.run(["{python}", "-m", "runner"], stdin="", warm=True).warm
    zygotes._kept[project.root].over.wait(30)
    assert run(warmed(project), "print(1)").stdout == "1\n"


def test_a_changed_environment_needs_another_one(make_project, warmed):
    """Packages that were installed meanwhile must not be missed."""
    project = make_project({"runner.py": RUNNER})
    trial = warmed(project)
    first = zygotes._kept[project.root]
    os.utime(project.root / "pyproject.toml", (1, 1))
    assert trial.warmth() == (False, "the app's environment has changed")
    assert run(warmed(project), "print(1)").stdout == "1\n"
    assert zygotes._kept[project.root] is not first


def test_it_is_used_again_by_later_trials_and_gone_at_the_end(make_project, warmed, trial_of):
    """One for a project; its processes and its directory end with it."""
    project = make_project({"runner.py": RUNNER})
    warmed(project)
    kept = zygotes._kept[project.root]
    warmed(project)
    assert zygotes._kept[project.root] is kept
    pid, directory = kept.zygote._process.pid, kept.directory
    assert directory.is_dir()
    zygotes.end_all()
    assert not Path(f"/proc/{pid}").exists()
    assert not directory.exists()


def test_nothing_is_left_after_kill_9_of_the_orchestrator(make_project, tmp_path, running, wait_for):
    """Zygote and runs end with it; the directory is swept by the next one."""
    project = make_project({"runner.py": RUNNER})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    mark = f"orphan-of-{tmp_path}"
    code = f"""
        import pathlib, tempfile, threading, time
        tempfile.tempdir = {str(scratch)!r}
        from homeostasis.project import Project
        from homeostasis_sandbox_venv import zygotes
        from homeostasis_sandbox_venv.runner import make_trial
        from homeostasis_sandbox_venv.settings import Settings
        trial = make_trial(None, Project.load(pathlib.Path({str(project.root)!r})), Settings())
        trial.warm_up(["{{python}}", "-m", "runner"], stdin="import wave")
        while trial.warmth().reason == zygotes.MAKING: time.sleep(0.02)
        sleep = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)', {mark!r}])"
        run = lambda: trial.run(["{{python}}", "-m", "runner"], stdin=sleep, warm=True, timeout=600)
        threading.Thread(target=run, daemon=True).start()
        print(trial.warmth().ready, flush=True)
        time.sleep(600)
        """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as orchestrator:
        assert orchestrator.stdout.readline() == b"True\n"
        wait_for(lambda: running(mark))
        orchestrator.send_signal(signal.SIGKILL)
    wait_for(lambda: not running(mark) and not running(str(scratch), launchers=True))
    sweep = f"import tempfile; tempfile.tempdir = {str(scratch)!r}\nfrom homeostasis_sandbox_venv import directories\ndirectories.sweep()"
    subprocess.run([sys.executable, "-c", sweep], check=True)
    assert list(scratch.iterdir()) == []
