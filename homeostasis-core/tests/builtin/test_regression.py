"""The generated regression test: proven on the base and on the candidate, or left out with the reason."""

from __future__ import annotations

import contextlib

import pytest

from homeostasis.models import Command, Outcome, Request
from homeostasis.regression import generate

LOOKUP = 'PRICES[request.args["name"]]'
CONFTEST = """
    import pytest
    from shop import app

    @pytest.fixture
    def client():
        return app.test_client()
"""


def milk(**fields):
    return Request(path="/price", query="name=milk", framework="flask", **fields)


def made(case, incident, patch):
    """What `generate` returns, in real trials."""

    @contextlib.contextmanager
    def fresh(candidate):
        yield case.trial(candidate)

    return generate(case.trial(patch), case.base, fresh, incident, case.project)


def test_a_flask_app_gets_a_test_of_its_recorded_request(flask_case):
    """It asks the fixed app and expects its status; the trials' trees are left as they were."""
    incident = flask_case.incident_of_request(milk())
    patch, check = made(flask_case, incident, flask_case.patch("shop.py", LOOKUP, "1"))
    assert check.outcome is Outcome.ACCEPTED, check.detail
    assert patch.regression_test == f"tests/test_homeostasis_{incident.id.replace('-', '_')}.py"
    text = patch.edits[-1].after.decode()
    assert "from shop import app" in text
    assert 'response = client.get("/price?name=milk")\n    assert response.status_code == 200' in text
    assert not (flask_case.base.root / "tests").exists()


def test_the_fixtures_of_the_apps_own_tests_are_used(case):
    """With a `client` fixture the test imports nothing."""
    pytest.importorskip("flask")
    shop = """
        from flask import Flask, request
        app = Flask(__name__)

        @app.post("/total")
        def total():
            return {"total": request.get_json()["a"]}
    """
    own = case({"shop.py": shop, "tests/conftest.py": CONFTEST}, 'app = "shop:app"')
    headers = (("Content-Type", "application/json"), ("Authorization", "Bearer [redacted]"), ("X-Tenant", "north"))
    request = Request(method="POST", path="/total", headers=headers, body=b'{"b": [1, null]}', framework="flask")
    incident = own.incident_of_request(request)
    patch, check = made(own, incident, own.patch("shop.py", '["a"]', '.get("a", 0)'))
    assert check.outcome is Outcome.ACCEPTED, check.detail
    text = patch.edits[-1].after.decode()
    assert "import" not in text
    assert "_no_longer_raises_key_error(client):" in text
    assert 'client.post("/total", json={"b": [1, None]}, headers={"X-Tenant": "north"})' in text
    assert "redacted" not in text


TEST_CASE = """
    import unittest
    from shop import app

    class PriceTest(unittest.TestCase):
        def test_tea(self):
            self.assertEqual(app.test_client().get("/price?name=tea").status_code, 200)
"""


def test_an_app_with_unittest_gets_a_test_case(case):
    """Which its own runner finds too, without pytest."""
    pytest.importorskip("flask")
    shop = """
        from flask import Flask, request
        app = Flask(__name__)
        PRICES = {"tea": 3}

        @app.get("/price")
        def price():
            return {"price": PRICES[request.args["name"]]}
    """
    files = {"shop.py": shop, "tests/__init__.py": "", "tests/test_price.py": TEST_CASE, "tests/conftest.py": CONFTEST}
    own = case(files, 'app = "shop:app"')
    incident = own.incident_of_request(milk())
    patch, check = made(own, incident, own.patch("shop.py", LOOKUP, 'PRICES.get(request.args["name"])'))
    assert check.outcome is Outcome.ACCEPTED, check.detail
    path, text = patch.edits[-1].path, patch.edits[-1].after.decode()
    assert "class RegressionTest(unittest.TestCase):\n    def test_get_price_no_longer_raises_key_error(self):" in text
    assert "        self.assertEqual(response.status_code, 200)\n" in text
    module = path[: -len(".py")].replace("/", ".")
    trials = [own.trial(candidate) for candidate in (patch, patch.model_copy(update={"edits": patch.edits[1:]}))]
    ends = [trial.run(["{python}", "-m", "unittest", module]).returncode for trial in trials]
    assert ends == [0, 1]


def test_a_fastapi_app_is_started_in_its_test(fastapi_case):
    """The lifespan runs, as it does in production."""
    pytest.importorskip("httpx")
    incident = fastapi_case.incident_of_request(Request(path="/orders/9", interface="asgi", framework="fastapi"))
    fixed = fastapi_case.patch("orders/main.py", 'ORDERS[number]["total"]', 'ORDERS.get(number, {"total": 0})["total"]')
    patch, check = made(fastapi_case, incident, fixed)
    assert check.outcome is Outcome.ACCEPTED, check.detail
    text = patch.edits[-1].after.decode()
    assert '    with TestClient(app) as client:\n        response = client.get("/orders/9")\n' in text


def test_a_test_that_proves_nothing_is_left_out(flask_case):
    """One that needs what was not recorded, or cannot be written, costs the patch nothing."""
    incident = flask_case.incident_of_request(milk())
    stays = flask_case.patch("shop.py", '"tea": 3', '"tea": 4')
    patch, check = made(flask_case, incident, stays)
    assert (check.outcome, patch) == (Outcome.INCONCLUSIVE, stays)
    assert "fails with the patch" in check.detail
    unknown = incident.event.model_copy(update={"request": milk().model_copy(update={"framework": None})})
    patch, check = made(flask_case, incident.model_copy(update={"event": unknown}), stays)
    assert "no test client is known for plain WSGI apps" in check.detail


def test_a_command_gets_a_test_that_runs_it(case):
    """Its exit status on the fixed app is what is expected."""
    own = case({"report.py": "import sys\nrows = {}\nprint(rows[sys.argv[1]])\n"})
    incident = own.incident_of_command("python", str(own.project.root / "report.py"), "may")
    event = incident.event.model_copy(update={"command": Command(argv=("python", "report.py", "may"))})
    incident = incident.model_copy(update={"event": event})
    patch, check = made(own, incident, own.patch("report.py", "rows[sys.argv[1]]", "rows.get(sys.argv[1])"))
    assert check.outcome is Outcome.ACCEPTED, check.detail
    text = patch.edits[-1].after.decode()
    assert 'subprocess.run([sys.executable, "report.py", "may"], capture_output=True, text=True)' in text
