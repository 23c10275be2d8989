"""Web apps that know nothing of Homeostasis, in interpreters and servers as production has them."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any, Callable

import pytest

from homeostasis import injection

pytest.importorskip("flask")
pytest.importorskip("fastapi")

FLASK = """
from flask import Flask
app = Flask(__name__)

@app.post("/price/<sku>")
def price(sku):
    return {"price": {"apple": 3}[sku]}

@app.errorhandler(LookupError)
def sorry(error):
    return "sorry", 500
"""
FASTAPI = """
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
app, inner = FastAPI(), FastAPI()

@app.post("/price/{sku}")
async def price(sku: str):
    return {"price": {"apple": 3}[sku]}

@inner.post("/price/{sku}")
async def inner_price(sku: str):
    return {"price": {"apple": 3}[sku]}

@inner.exception_handler(LookupError)
async def sorry(request, error):
    return PlainTextResponse("sorry", 500)

app.mount("/inner", inner)
"""
ASK_FLASK = "import shop\nassert shop.app.test_client().post('/price/pear', data=b'x=1').status_code == 500\n"
ASK_FASTAPI = """
import asyncio
import shop

def ask(path):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"x=1"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [(b"content-length", b"3")],
             "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1), "root_path": "", "http_version": "1.1"}
    try:
        asyncio.run(shop.app(scope, receive, send))
    except KeyError:
        pass
    return sent[0]["status"]

assert ask("/price/pear") == 500
"""


@pytest.fixture
def shop(project: Path) -> Callable[[str], None]:
    """Writes the app."""
    return lambda source: (project / "shop.py").write_text(source, encoding="utf-8") and None


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has all that is installed here but Homeostasis."""
    root = tmp_path_factory.mktemp("bare")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(root)
    python = root / "bin" / "python"
    target = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], stdout=subprocess.PIPE, check=True
    )
    site = Path(target.stdout.decode().strip())
    for found in Path(sysconfig.get_path("purelib")).iterdir():
        if "homeostasis" not in found.name and found.suffix != ".pth" and not (site / found.name).exists():
            (site / found.name).symlink_to(found)
    assert subprocess.run([python, "-c", "import homeostasis"], stderr=subprocess.PIPE, check=False).returncode == 1
    return str(python)


@pytest.mark.parametrize(
    ("source", "ask", "framework"),
    [(FLASK, ASK_FLASK, "flask"), (FASTAPI, ASK_FASTAPI, "fastapi")],
    ids=["flask", "fastapi"],
)
def test_an_interpreter_without_homeostasis(
    shop: Any, run: Any, events: Any, bare: str, source: str, ask: str, framework: str
) -> None:
    """The app is monitored through the adapter, though its environment has nothing of ours."""
    shop(source)
    done = run(ask, python=bare)
    assert done.returncode == 0, done.stderr
    assert "homeostasis" not in done.stderr
    (event,) = events()
    assert event["exceptions"][0]["type"] == "KeyError"
    assert event["request"]["framework"] == framework
    assert event["request"]["route"] == ("/price/<sku>" if framework == "flask" else "/price/{sku}")
    assert event["request"]["body"] == "eD0x"
    assert event["exceptions"][0]["frames"][-1]["in_app"]


def test_without_adapters(shop: Any, run: Any, events: Any, bare: str, project: Path, injected: Any) -> None:
    """Where no adapter is installed beside the orchestrator, the app is monitored from outside."""
    shop(FLASK.replace("@app.errorhandler(LookupError)", ""))
    injected()
    directory = project / ".homeostasis" / "plain"
    injection.inject(directory)
    done = run(ASK_FLASK, python=bare, PYTHONPATH=str(directory))
    assert done.returncode == 0, done.stderr
    assert "pip install homeostasis-flask" in done.stderr
    (event,) = events()  # through the log of Flask
    assert event["exceptions"][0]["type"] == "KeyError"
    assert event["request"]["path"] == "/price/pear"


def test_mounted_apps_are_seen_inside(shop: Any, run: Any, events: Any) -> None:
    """What an exception handler of a mounted app swallows is an event, and the request counts once."""
    shop(FASTAPI)
    done = run(ASK_FASTAPI + "assert ask('/inner/price/plum') == 500\n")
    assert done.returncode == 0, done.stderr
    assert [(event["handled"], event["request"]["path"]) for event in events()] == [
        (False, "/price/pear"),
        (True, "/inner/price/plum"),
    ]


@pytest.mark.parametrize("source", [FLASK, FASTAPI], ids=["flask", "fastapi"])
def test_apps_that_set_up_themselves(shop: Any, run: Any, events: Any, source: str) -> None:
    """An app that calls `setup_monitoring` or adds the middleware is monitored once, with its own settings."""
    own = (
        "from homeostasis.monitoring import setup_monitoring\nsetup_monitoring(app, config={'service': 'own'})\n"
        if source == FLASK
        else "from homeostasis.monitoring import HomeostasisMiddleware\n"
        "app.add_middleware(HomeostasisMiddleware, config={'service': 'own'})\n"
    )
    shop(source + own)
    done = run(ASK_FLASK if source == FLASK else ASK_FASTAPI)
    assert done.returncode == 0, done.stderr
    assert [event["service"] for event in events()] == ["own"]


def test_subclasses_and_signatures(run: Any, events: Any) -> None:
    """App classes keep their signature, and subclasses with a constructor of their own are monitored."""
    done = run("""
        import inspect
        from fastapi import FastAPI
        from flask import Flask
        from werkzeug.middleware.proxy_fix import ProxyFix
        assert list(inspect.signature(Flask).parameters)[0] == "import_name"
        assert "title" in inspect.signature(FastAPI).parameters

        class Own(Flask):
            def __init__(self):
                super().__init__("own")
                self.wsgi_app = ProxyFix(self.wsgi_app)
                self.add_url_rule("/", "crash", lambda: {}["gone"])

        assert Own().test_client().get("/").status_code == 500
        try:
            Flask()
        except TypeError as error:
            assert "import_name" in str(error)
    """)
    assert done.returncode == 0, done.stderr
    assert [event["exceptions"][0]["type"] for event in events()] == ["KeyError"]


LIGHT = """
import sys
ours = sorted(name for name in sys.modules if name.startswith("homeostasis"))
print(ours, sorted({"logging", "threading", "asyncio"} & set(sys.modules)))
"""


def test_programs_without_apps_pay_nothing(run: Any, project: Path) -> None:
    """A program that neither serves nor fails imports nothing of the monitoring, writes nothing, starts no thread."""
    done = run(LIGHT)
    assert done.stdout == (
        "['homeostasis', 'homeostasis.autostart', 'homeostasis.autostart.apps', 'homeostasis.autostart.escapes', "
        "'homeostasis.autostart.imports', 'homeostasis.autostart.loggers'] []\n"
    ), done.stderr
    assert not (project / ".homeostasis" / "spool").exists()


@pytest.mark.parametrize("value", ["0", "false", ""])
def test_opted_out(run: Any, events: Any, value: str) -> None:
    """`HOMEOSTASIS_INJECT=0` in the environment leaves a process alone."""
    done = run("import sys\nprint('homeostasis.monitoring' in sys.modules)\n1 / 0", HOMEOSTASIS_INJECT=value)
    assert done.stdout == "False\n"
    assert events() == []


def test_disabled(run: Any, events: Any, project: Path) -> None:
    """`HOMEOSTASIS_ENABLED=false` captures nothing."""
    assert "ZeroDivisionError" in run("1 / 0", HOMEOSTASIS_ENABLED="false").stderr
    assert events() == []


def test_the_hidden_sitecustomize_runs(run: Any, project: Path, tmp_path: Path) -> None:
    """A `sitecustomize` of the app's own still runs, and sees no other."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('own', __file__)\n")
    directory = project / ".homeostasis" / "injection"
    done = run("import sitecustomize\nprint(sitecustomize.__file__)", PYTHONPATH=f"{directory}{os.pathsep}{own}")
    file = str(own / "sitecustomize.py")
    assert done.stdout == f"own {file}\n{file}\n", done.stderr


def test_broken_injection_hurts_nobody(run: Any, project: Path, injected: Any) -> None:
    """Where our package cannot be read any more, the app starts all the same."""
    environ = injected()
    (project / ".homeostasis" / "injection" / "homeostasis").unlink()
    (project / ".homeostasis" / "injection" / "homeostasis").mkdir()
    (project / ".homeostasis" / "injection" / "homeostasis" / "__init__.py").write_text("syntax error")
    done = subprocess.run(
        [sys.executable, "-c", "print('runs')"], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "runs\n"
    assert done.stderr.count("\n") == 1
    assert "homeostasis does not monitor this process: SyntaxError" in done.stderr


def test_injecting_again_brings_up_to_date(tmp_path: Path) -> None:
    """Links and files of an earlier version are replaced, and what is right stays."""
    directory = injection.inject(tmp_path / "injection", adapters=True)
    (directory / "homeostasis").unlink()
    (directory / "homeostasis").symlink_to(tmp_path)
    (directory / "sitecustomize.py").write_text("old")
    before = (directory / "homeostasis_flask").lstat().st_ino
    injection.inject(directory, adapters=True)
    assert (directory / "homeostasis" / "injection.py").is_file()
    assert (directory / "sitecustomize.py").read_text() != "old"
    assert (directory / "homeostasis_flask").lstat().st_ino == before
    assert sorted(path.name for path in directory.iterdir() if path.name.startswith(".new")) == []


GUNICORN = ("gunicorn", "-w", "2", "-b", "unix:SOCKET")
UVICORN = ("uvicorn", "--uds", "SOCKET")
SERVERS = [
    (FLASK, (*GUNICORN, "shop:app"), 2),
    (FLASK, (*GUNICORN, "--preload", "shop:app"), 2),
    (FLASK, (*GUNICORN, "-k", "gevent", "shop:app"), 2),
    (FASTAPI, (*UVICORN, "shop:app"), 1),
    (FASTAPI, (*UVICORN, "--workers", "2", "shop:app"), 0),
]


@pytest.mark.slow  # starts real servers
@pytest.mark.parametrize(
    ("source", "command", "workers"),
    SERVERS,
    ids=["gunicorn", "gunicorn-preload", "gunicorn-gevent", "uvicorn", "uvicorn-workers"],
)
def test_servers(
    shop: Any, serve: Any, events: Any, project: Path, source: str, command: tuple[str, ...], workers: int
) -> None:
    """Workers of real servers report their crashes, are registered while they run, and end as they did without us."""
    if importlib.util.find_spec(command[0]) is None or (
        "gevent" in command and importlib.util.find_spec("gevent") is None
    ):
        pytest.skip(f"{command} is not installed")
    shop(source)
    server = serve("-m", *command)
    server.wait_for(lambda: server.ask("/price/pear", b"x=1") == 500)
    (event,) = server.wait_for(events)
    assert event["exceptions"][0]["type"] == "KeyError"
    assert event["request"]["body"] == "eD0x"
    assert event["runtime"]["app"] == "shop:app"
    if workers:
        registered = project / ".homeostasis" / "workers"
        server.wait_for(lambda: len(list(registered.glob("*.json"))) == workers)
    assert server.end() in (0, -signal.SIGTERM)
