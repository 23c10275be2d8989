"""`reproduction`: every way to make a crash happen again, each with an acceptance and a veto."""

from __future__ import annotations

import pytest

from homeostasis.builtin import reproduction
from homeostasis.models import Effect, Frame, Outcome, Request, Span
from homeostasis.replay import replay_requests
from homeostasis.testing.builders import crash, incident_of

MILK = Request(path="/price", query="name=milk")
LOOKUP = 'PRICES[request.args["name"]]'


def test_a_request_that_no_longer_crashes_is_accepted(flask_case):
    """WSGI: the recorded request crashes the base and is answered by the candidate."""
    incident = flask_case.incident_of_request(MILK)
    found = flask_case.check(reproduction, incident, flask_case.patch("shop.py", LOOKUP, "PRICES.get('tea')"))
    assert (found.outcome, found.required) == (Outcome.ACCEPTED, True), found.detail


def test_a_request_with_a_body_is_sent_again(flask_case):
    """WSGI: method, headers and body arrive as they were recorded."""
    request = Request(
        method="POST", path="/total", headers=(("Content-Type", "application/json"),), body=b'[{"name": "tea"}]'
    )
    incident = flask_case.incident_of_request(request)
    assert incident.event.raised.type == "KeyError"
    patch = flask_case.patch("shop.py", 'item["price"]', 'item.get("price", 0)')
    assert flask_case.check(reproduction, incident, patch).outcome is Outcome.ACCEPTED


def test_a_crash_that_stays_is_a_veto(flask_case):
    """A patch beside the point is rejected."""
    incident = flask_case.incident_of_request(MILK)
    found = flask_case.check(reproduction, incident, flask_case.patch("shop.py", '"tea": 3', '"tea": 4'))
    assert found.outcome is Outcome.REJECTED
    assert "still happens" in found.detail


def test_another_exception_is_a_veto(flask_case):
    """A patch that moves the crash is rejected."""
    incident = flask_case.incident_of_request(MILK)
    patch = flask_case.patch("shop.py", LOOKUP, 'PRICES.get(request.args["name"]) + 1')
    found = flask_case.check(reproduction, incident, patch)
    assert found.outcome is Outcome.REJECTED
    assert "TypeError" in found.detail


def test_a_server_error_is_a_veto(flask_case):
    """A patch that answers with 503 instead of crashing is rejected."""
    incident = flask_case.incident_of_request(MILK)
    patch = flask_case.patch("shop.py", f'return {{"price": {LOOKUP}}}', 'return "", 503')
    found = flask_case.check(reproduction, incident, patch)
    assert found.outcome is Outcome.REJECTED
    assert "503" in found.detail


def test_an_asgi_request_is_replayed_with_the_lifespan(fastapi_case):
    """ASGI: the app's start-up has run, and the fix is told from a non-fix."""
    incident = fastapi_case.incident_of_request(Request(path="/orders/9", interface="asgi"), Request(path="/orders/1"))
    good = fastapi_case.patch("orders/main.py", 'ORDERS[number]["total"]', 'ORDERS.get(number, {"total": 0})["total"]')
    bad = fastapi_case.patch("orders/main.py", 'ORDERS[number]["total"]', 'ORDERS.get(number)["total"]')
    assert fastapi_case.check(reproduction, incident, good).outcome is Outcome.ACCEPTED
    assert fastapi_case.check(reproduction, incident, bad).outcome is Outcome.REJECTED


def test_an_unknown_app_is_inconclusive(flask_case):
    """Without the app's import path the verdict says what to set."""
    incident = flask_case.incident_of_request(MILK)
    config = flask_case.project.config.model_copy(update={"app": None})
    flask_case.project = type(flask_case.project)(flask_case.project.root, config)
    event = incident.event.model_copy(update={"exceptions": (incident.event.raised.model_copy(update={"frames": ()}),)})
    found = flask_case.check(reproduction, incident_of(event), flask_case.patch("shop.py", "tea", "mate"))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert 'set app = "module:app"' in found.detail


def test_a_crash_that_does_not_happen_again_is_inconclusive(flask_case):
    """When the base answers the request, nothing is claimed."""
    incident = flask_case.incident_of_request(MILK)
    event = incident.event.model_copy(update={"request": Request(path="/price", query="name=tea")})
    event = event.model_copy(update={"exceptions": (event.raised.model_copy(update={"frames": ()}),)})
    found = flask_case.check(reproduction, incident_of(event), flask_case.patch("shop.py", LOOKUP, "1"))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "no exception" in found.detail


def test_an_app_that_the_patch_stops_from_starting_is_a_veto(flask_case):
    """The base starts and the candidate does not."""
    incident = flask_case.incident_of_request(MILK)
    found = flask_case.check(reproduction, incident, flask_case.patch("shop.py", "app = Flask", "ap = Flask"))
    assert found.outcome is Outcome.REJECTED
    assert "does not start" in found.detail


LIVE = """
    from fastapi import FastAPI, WebSocket

    app = FastAPI()

    def total(items):
        return sum(item["price"] for item in items)

    @app.websocket("/live")
    async def live(socket: WebSocket):
        await socket.accept()
        await socket.send_json(total(await socket.receive_json()))
"""


def test_a_websocket_is_not_opened_again(case):
    """Its messages are not recorded: it is no plain request either, and the recorded call is made instead."""
    made = case({"shop.py": LIVE}, 'app = "shop:app"')
    event = crash(made.project, "import shop; shop.total([{'cost': 1}])")
    opened = Request(path="/live", scheme="ws", interface="asgi", framework="fastapi")
    incident = incident_of(event.model_copy(update={"request": opened}), Request(path="/openapi.json"))
    good = made.patch("shop.py", 'item["price"]', 'item.get("price", 0)')
    found = made.check(reproduction, incident, good)
    assert (found.outcome, "call of shop:total" in found.detail) == (Outcome.ACCEPTED, True), found.detail
    answers = replay_requests(made.base, incident, made.project)
    assert (len(answers.healthy), answers.crash) == (1, None)
    bare = event.model_copy(update={"request": opened, "exceptions": (event.raised.model_copy(update={"frames": ()}),)})
    found = made.check(reproduction, incident_of(bare), good)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "GET /live: it opened a WebSocket, and what was sent over that is not recorded" in found.detail


SCRIPT = {"report.py": "import sys\nrows = {}\nprint(rows[sys.argv[1]])\n"}


def test_a_command_is_run_again(case):
    """A script's crash is gone, is another one, or the script ends with an error all the same."""
    made = case(SCRIPT)
    incident = made.incident_of_command("python", str(made.project.root / "report.py"), "may")
    checks = [
        made.check(reproduction, incident, made.patch("report.py", "rows[sys.argv[1]]", new))
        for new in ("rows.get(sys.argv[1])", "rows.get(sys.argv[1]) + 1", "rows.get(sys.argv[1], sys.exit(4))")
    ]
    assert [check.outcome for check in checks] == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.REJECTED]
    assert "status 4" in checks[2].detail


def test_a_command_may_refuse_its_input(case, refuse):
    """A patch whose effect is to refuse may end the command with an error."""
    made = case(SCRIPT)
    incident = made.incident_of_command("python", str(made.project.root / "report.py"), "may")
    patch = made.patch("report.py", "rows[sys.argv[1]]", "rows.get(sys.argv[1], sys.exit(2))", **refuse)
    assert made.check(reproduction, incident, patch).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(("effect", "outcome"), [(Effect.REFUSE, Outcome.ACCEPTED), (Effect.CORRECT, Outcome.REJECTED)])
def test_a_command_may_refuse_its_input_with_an_exception(case, effect, outcome):
    """A patch may raise what it says to raise if its effect is to refuse, and only then."""
    made = case(SCRIPT)
    incident = made.incident_of_command("python", str(made.project.root / "report.py"), "may")
    guard = "if sys.argv[1] not in rows:\n    raise ValueError(sys.argv[1])\nprint("
    patch = made.patch("report.py", "print(", guard, effect=effect)
    assert made.check(reproduction, incident, patch).outcome is outcome


def test_an_exception_that_was_raised_there_before_is_no_refusal(case):
    """Only a line of the patch's own says what it refuses with."""
    made = case({"report.py": f"def check(name):\n    raise LookupError(name)\n\n\n{SCRIPT['report.py']}"})
    incident = made.incident_of_command("python", str(made.project.root / "report.py"), "may")
    patch = made.patch("report.py", "print(", "check(sys.argv[1])\nprint(", effect=Effect.REFUSE)
    found = made.check(reproduction, incident, patch)
    assert found.outcome is Outcome.REJECTED
    assert "another exception is raised instead" in found.detail


HANDLING = (
    "import sys\nrows = {}\ntry:\n    print(rows[sys.argv[1]])\n"
    "except IndexError:\n    raise ValueError('unknown row')\n"
)


def test_a_command_may_refuse_its_input_by_a_handler(case):
    """The `raise` was there before: it is the patch's own if the crash is what is handled."""
    made = case({"report.py": HANDLING})
    incident = made.incident_of_command("python", str(made.project.root / "report.py"), "may")
    patch = made.patch("report.py", "except IndexError", "except (IndexError, KeyError)", effect=Effect.REFUSE)
    assert made.check(reproduction, incident, patch).outcome is Outcome.ACCEPTED


PYTEST = {
    "pricing.py": "def price(name):\n    return {'tea': 3}[name]\n",
    "test_pricing.py": """
        from pricing import price

        def test_milk():
            assert price("milk") == 0

        def test_wrong_all_the_time():
            assert price("tea") == 4
        """,
}


def test_a_test_is_run_again(case):
    """A test that crashed must pass; one that failed before for another reason may go on failing."""
    made = case(PYTEST)
    test = str(made.project.root / "test_pricing.py")
    incident = made.incident_of_command(
        "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(made.project.root), test
    )
    assert incident.event.raised.type == "KeyError"
    good = made.patch("pricing.py", "{'tea': 3}[name]", "{'tea': 3}.get(name, 0)")
    wrong = made.patch("pricing.py", "{'tea': 3}[name]", "{'tea': 3}.get(name, 1)")
    assert made.check(reproduction, incident, good).outcome is Outcome.ACCEPTED
    found = made.check(reproduction, incident, wrong)
    assert found.outcome is Outcome.REJECTED
    assert "test_milk" in found.detail


def test_a_traceback_of_a_script_is_reproduced_by_running_it(case):
    """An event that only knows frames names the script at the bottom of its stack."""
    made = case({"report.py": "def show(rows):\n    return rows['may']\n\nprint(show({}))\n"})
    event = made.incident_of_command("python", str(made.project.root / "report.py")).event
    text_frames = [Frame(path=f.path, function=f.function, span=Span(line=f.span.line)) for f in event.raised.frames]
    raised = event.raised.model_copy(update={"frames": tuple(text_frames)})
    bare = event.model_copy(
        update={"command": None, "exceptions": (raised,), "fingerprint": "1" * 16, "source": "text"}
    )
    found = made.check(reproduction, incident_of(bare), made.patch("report.py", "rows['may']", "rows.get('may')"))
    assert (found.outcome, "script report.py" in found.detail) == (Outcome.ACCEPTED, True), found.detail


def test_a_call_is_made_again_with_its_arguments(case):
    """Without request and command, the outermost function of the app is called as it was."""
    made = case(
        {"shop.py": "def total(items):\n    return sum(one(i) for i in items)\n\ndef one(i):\n    return i['p']\n"}
    )
    incident = incident_of(crash(made.project, "import shop; shop.total([{'p': 1}, {'q': 2}])"))
    good = made.check(reproduction, incident, made.patch("shop.py", "i['p']", "i.get('p', 0)"))
    bad = made.check(reproduction, incident, made.patch("shop.py", "i['p']", "i.get('p')"))
    assert (good.outcome, bad.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED), (good.detail, bad.detail)
    assert "call of shop:total" in good.detail


def test_a_call_with_arguments_that_are_lost_is_inconclusive(case):
    """The verdict names the argument that could not be rebuilt."""
    made = case({"shop.py": "def total(cart):\n    return cart.items['x']\n\nclass Cart:\n    items = {}\n"})
    incident = incident_of(crash(made.project, "import shop; shop.total(shop.Cart())"))
    found = made.check(reproduction, incident, made.patch("shop.py", "cart.items['x']", "0"))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "argument 'cart', a Cart, cannot be rebuilt" in found.detail
