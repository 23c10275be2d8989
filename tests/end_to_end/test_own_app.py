"""The README's how-to, on the tutorial's app and on one for FastAPI: crash, heal, look, roll back."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # two environments, real servers, and the whole cycle

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
FLASK = next(
    block for block in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL) if block.startswith("# shop.py")
)
"""The app of the tutorial, as it stands there."""

FASTAPI = """\
from fastapi import FastAPI
from homeostasis.monitoring import HomeostasisMiddleware

app = FastAPI()
app.add_middleware(HomeostasisMiddleware, config={})
PRICES = {"tea": 300, "milk": 120}


def price(name):
    return PRICES[name]


@app.get("/price")
async def show_price(name: str):
    return {"price": price(name)}
"""

CONTRACT = {
    "id", "fingerprint", "service", "exception_type", "message", "location", "count", "first_seen", "last_seen",
    "state", "rule_id", "patch", "verdict", "release", "timeline",
}  # fmt: skip


ASGI = pytest.param("fastapi", marks=pytest.mark.once("an ASGI service is healed on each in the demo"))


@pytest.mark.parametrize("framework", ["flask", ASGI])
def test_an_own_app_heals(framework, make_service, wheels):
    """It crashes once, is healed in the running workers, keeps its healthy answers, and rolls back to the byte."""
    source, server = (FLASK, "gunicorn") if framework == "flask" else (FASTAPI, "uvicorn")
    files = {"shop.py": source, ".gitignore": "__pycache__/\n"}
    service = make_service(files, wheels[f"homeostasis-{framework}"], framework, server)
    service.homeostasis("init", "--mode", "auto")
    with (service.root / "pyproject.toml").open("a") as settings:
        settings.write("\n[tool.homeostasis.observe]\nwindow = 1\n")

    bind = f"127.0.0.1:{service.port}"
    program = service.app.path / "bin"
    if server == "gunicorn":
        service.start(str(program / server), "-w", "2", "-b", bind, "shop:create_app()")
    else:
        service.start(str(program / server), "--port", str(service.port), "shop:app")

    healthy = service.get("/price?name=tea")
    assert healthy[0] == 200
    expected = 2 if server == "gunicorn" else 1
    service.until(lambda: service.get("/price?name=tea") and len(service.workers()) == expected, "all workers")
    workers = service.workers()
    assert service.get("/price?name=cocoa")[0] == 500

    service.until(lambda: service.get("/price?name=cocoa")[0] not in (0, 500), "the healed answer")
    (status,) = {service.get("/price?name=cocoa")[0] for _ in range(8)}
    assert 400 <= status < 500, "the client asked for something that is not there, and every worker says so"
    assert service.get("/price?name=tea") == healthy
    assert service.workers() == workers, "nothing was restarted"

    def is_confirmed():
        """After so many requests that the crash would have come back."""
        assert {service.get(f"/price?name={name}")[0] for name in ("tea", "cocoa") for _ in range(10)} == {200, status}
        return service.incidents()[0]["state"] == "healed"

    service.until(is_confirmed, "the end of the observation")
    (incident,) = service.incidents()
    shown = json.loads(service.homeostasis("show", incident["id"], "--json"))
    assert set(shown) >= CONTRACT
    place = shown["location"]
    assert (shown["exception_type"], Path(place["path"]).name, place["function"]) == ("KeyError", "shop.py", "price")
    assert shown["verdict"]["outcome"] == "accepted"
    states = [entry["state"] for entry in shown["timeline"]]
    assert (list(dict.fromkeys(states))[-3:], states[-1]) == (["deploying", "observing", "healed"], "healed")
    assert "hotswap" in shown["release"]["deployers"]
    assert incident["id"] in service.homeostasis("show", incident["id"])
    commit = shown["release"]["commit"]
    git = subprocess.run(["git", "-C", str(service.root), "cat-file", "-t", commit], capture_output=True, check=True)
    assert git.stdout == b"commit\n"
    assert [file["path"] for file in shown["patch"]["files"]] == ["shop.py"]
    assert (service.root / "shop.py").read_bytes() != source.encode()

    service.homeostasis("rollback", incident["id"])
    assert (service.root / "shop.py").read_bytes() == source.encode()
    assert service.incidents()[0]["state"] == "rolled_back"
    assert service.get("/price?name=cocoa")[0] == 500
    assert service.get("/price?name=tea") == healthy

    assert service.stop() == 130, "ended by the interrupt, as shells say it"
    assert service.get("/price?name=tea")[0] == 0, "the app was ended with its supervisor"
