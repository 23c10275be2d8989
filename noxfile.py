#!/usr/bin/env python3
"""The tasks of this repository: `python3 noxfile.py -s demo`, or `nox -s demo` where nox is installed.

Run as a script it needs nothing but Python 3.9+ and pip: it puts nox and uv into `.nox/bootstrap` and goes on with
them. `python3 noxfile.py` alone runs tests, types, lint and docs; `python3 noxfile.py -l` lists everything.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent
STATE = ROOT / ".nox"
BOOTSTRAP = ("nox>=2024.10.9", "uv>=0.5")


def bootstrap() -> None:
    """Make `nox` and `uv` importable, from `.nox/bootstrap`, without touching any environment.

    `pip install --target` also works where the system's Python is externally managed or has no venv module.
    """
    key = hashlib.sha256(" ".join([sys.version, *BOOTSTRAP]).encode()).hexdigest()[:12]
    target = STATE / f"bootstrap-{key}"
    if not target.is_dir():
        print("Setting up nox and uv below .nox/ (once) ...", flush=True)
        STATE.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix="bootstrap-", dir=STATE))
        quiet = ["--quiet", "--disable-pip-version-check", "--no-warn-script-location", "--root-user-action=ignore"]
        command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(partial), *BOOTSTRAP]
        if subprocess.run(command, check=False).returncode:
            shutil.rmtree(partial)
            sys.exit(
                f"pip could not install {' and '.join(BOOTSTRAP)}: see above; {sys.executable} needs pip and an index"
            )
        with contextlib.suppress(OSError):  # somebody else was quicker
            partial.rename(target)
    sys.path.insert(0, str(target))
    os.environ["PATH"] = os.pathsep.join([str(target / "bin"), os.environ.get("PATH", os.defpath)])


if __name__ == "__main__":
    try:
        import nox
    except ModuleNotFoundError:
        bootstrap()
    from nox.__main__ import main

    sys.argv[1:1] = ["--noxfile", __file__]
    sys.exit(main())

import nox

PYTHONS = ["3.8", "3.11", "3.13"]
MEASURED = "3.13"
"""Where coverage is measured: from 3.12 on Python tells of lines at hardly any cost (of branches from 3.14 on)."""
PACKAGES = [ROOT / "homeostasis-core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
SOURCES = [str((path / "src").relative_to(ROOT)) for path in PACKAGES]
REQUIRE_ALL = os.environ.get("HOMEOSTASIS_REQUIRE_ALL") == "1"

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "types", "lint", "docs"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = REQUIRE_ALL
if hasattr(nox.options, "download_python"):
    nox.options.download_python = "never"
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the environments are ours: let them keep their bytecode

_ran: list[str] = []


@nox.session
def demo(session: nox.Session) -> None:
    """Start the example services, crash them, and watch them being healed."""
    install(session, "demo")
    session.run("homeostasis", "demo", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests on each supported Python that this machine has; coverage is measured on 3.13."""
    install(session, "tests")
    _ran.append(str(session.python))
    measured = ["--cov", "--cov-report=term"] if session.python == MEASURED and not session.posargs else []
    env = {
        **index_settings(),
        "COVERAGE_FILE": str(Path(session.virtualenv.location) / ".coverage"),
        "COVERAGE_CORE": "sysmon" if measured else "",
        "HOMEOSTASIS_ONCE_ON": newest(),
    }
    # Many tests wait for servers and for what they have killed: more workers than processors keep these busy.
    workers = str(max(2, (os.cpu_count() or 1) * 3 // 2))
    session.run("pytest", "-q", "-n", workers, "--dist", "worksteal", *measured, *session.posargs, env=env)


@nox.session
def nightly(session: nox.Session) -> None:
    """Drive 100,000 hostile events through analysis and patching, break off everywhere, and fuzz each parser."""
    install(session, "tests")
    env = {**index_settings(), "HOMEOSTASIS_FUZZ_CASES": os.environ.get("HOMEOSTASIS_FUZZ_CASES", "100000")}
    session.run("pytest", "-q", "-n", "auto", "plugins/rules-python/tests/test_fuzz.py", *session.posargs, env=env)
    session.run("pytest", "-q", "-n", "auto", "tests/faults", env={**env, "HOMEOSTASIS_NIGHTLY": "1"})
    session.install("atheris>=3", env=index_settings())
    with tempfile.TemporaryDirectory() as findings, session.chdir(findings):
        script = str(ROOT / "tests" / "fuzzing" / "parsers.py")
        targets = str(session.run("python", script, "--list", silent=True)).split()
        for target in targets:
            session.run("python", script, target, "--seconds", os.environ.get("HOMEOSTASIS_FUZZ_SECONDS", "60"))


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of every package with mypy's strict mode."""
    install(session, "types")
    session.run("mypy", *(session.posargs or SOURCES))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    install(session, "lint", packages=False)
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation with warnings as errors, and the changelog from its fragments."""
    install(session, "docs")
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html")
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)
    session.log("open docs/_build/html/index.html")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what the README claims; `-- NAME` runs one benchmark only."""
    install(session, "bench")
    wanted = [Path(name).stem for name in session.posargs]
    for script in sorted(ROOT.glob("benchmarks/*.py")):
        if not wanted or script.stem in wanted:
            session.run("python", str(script))


@nox.session
def build(session: nox.Session) -> None:
    """Build every package, and install the wheels together in a fresh environment."""
    install(session, "build", packages=False)
    output = STATE / "dist"
    shutil.rmtree(output, ignore_errors=True)
    for package in PACKAGES:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(output), str(package), silent=True)
    fresh = STATE / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    session.run("virtualenv", "-q", str(fresh))
    python = str(fresh / "bin" / "python")
    wheels = [str(path) for path in sorted(output.glob("*.whl"))]
    session.run(python, "-m", "pip", "install", "-q", *wheels, external=True)
    session.run(python, "-m", "pip", "check", external=True)
    session.run(str(fresh / "bin" / "homeostasis"), "--version", external=True)
    session.log(f"{len(wheels)} wheels in {output}")


@lru_cache(maxsize=1)
def newest() -> str:
    """The newest supported Python that this machine has: what is the same on all of them is tested there."""
    for version in reversed(PYTHONS):
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return version
    return ""


def install(session: nox.Session, group: str, *, packages: bool = True) -> None:
    """Install a dependency group of the root `pyproject.toml` and all packages, editable, unless nothing changed."""
    wanted = nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), group)
    requirements = [item for item in wanted if not item.startswith("homeostasis-")]
    editable = [f"{path}[orchestrator]" if path.name == "homeostasis-core" else str(path) for path in PACKAGES]
    words = [*requirements, *(word for path in editable if packages for word in ("-e", path))]
    parts = [" ".join(words), *(path.joinpath("pyproject.toml").read_text("utf-8") for path in PACKAGES if packages)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    stamp = Path(session.virtualenv.location) / "homeostasis-inputs"
    if stamp.is_file() and stamp.read_text("utf-8") == digest:
        return
    stamp.unlink(missing_ok=True)
    # Trials run on read-only environments: what is not compiled now would be compiled at every start.
    compiled = {"UV_COMPILE_BYTECODE": "1"} if group in ("demo", "tests", "bench") else {}
    session.install(*words, env={**index_settings(), **compiled})
    stamp.write_text(digest, "utf-8")


def index_settings() -> dict[str, str]:
    """What pip is configured with, in the words of uv, which does not read pip's configuration."""
    found: dict[str, str] = {}
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        with contextlib.suppress(ValueError):
            found[key.strip().split(".")[-1].lower()] = " ".join(shlex.split(value))
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
    names["cert"] = "SSL_CERT_FILE"
    settings = {names[key]: value for key, value in found.items() if key in names and names[key] not in os.environ}
    if "UV_INDEX" in settings:
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does: the best version of all indexes
    if "UV_FIND_LINKS" in settings:
        settings["UV_FIND_LINKS"] = settings["UV_FIND_LINKS"].replace(" ", ",")
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        settings.update(UV_SYSTEM_CERTS="1", UV_NATIVE_TLS="1")
    return settings


@atexit.register
def say_what_was_left_out() -> None:
    """Name the Pythons that the tests did not see, and how to get them."""
    missing = [version for version in PYTHONS if version not in _ran]
    if _ran and missing:
        print(
            f"Left out: the tests on Python {' and '.join(missing)}. To run them as well, install what is missing"
            f" (such as with `pyenv install {' '.join(missing)}`), put it on PATH and repeat; .ci/run demands all."
        )
