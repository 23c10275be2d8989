"""`healthy-traffic`: recorded requests are answered as before."""

from __future__ import annotations

from homeostasis.builtin import healthy_traffic
from homeostasis.models import Outcome, Request

MILK = Request(path="/price", query="name=milk")
TEA = Request(path="/price", query="name=tea")
NOW = Request(path="/now")
LOOKUP = 'PRICES[request.args["name"]]'


def test_same_answers_are_accepted(flask_case):
    """Times and ids that differ by themselves do not count."""
    incident = flask_case.incident_of_request(MILK, TEA, NOW)
    found = flask_case.check(healthy_traffic, incident, flask_case.patch("shop.py", LOOKUP, "PRICES.get('tea')"))
    assert (found.outcome, found.required) == (Outcome.ACCEPTED, False), found.detail


def test_a_changed_answer_is_a_veto(flask_case):
    """The detail names the request and the part that changed."""
    incident = flask_case.incident_of_request(MILK, TEA, NOW)
    found = flask_case.check(healthy_traffic, incident, flask_case.patch("shop.py", LOOKUP, "0"))
    assert found.outcome is Outcome.REJECTED
    assert "1 of 2 answers changed: GET /price: its body.price changed" in found.detail


def test_a_changed_stable_part_beside_volatile_ones_is_a_veto(flask_case):
    """Learning what is volatile does not excuse the rest of the same body."""
    incident = flask_case.incident_of_request(MILK, NOW)
    found = flask_case.check(healthy_traffic, incident, flask_case.patch("shop.py", '"open"', '"closed"'))
    assert found.outcome is Outcome.REJECTED
    assert "body.shop" in found.detail


def test_a_changed_status_is_a_veto(fastapi_case):
    """ASGI: an answer that became an error."""
    incident = fastapi_case.incident_of_request(Request(path="/orders/9"), Request(path="/orders/1"))
    found = fastapi_case.check(healthy_traffic, incident, fastapi_case.patch("orders/main.py", '["1"]', '["2"]'))
    assert found.outcome is Outcome.REJECTED
    assert "status 200 became 500" in found.detail


def test_no_recorded_traffic_is_inconclusive(flask_case):
    """Nothing is claimed without something to compare."""
    incident = flask_case.incident_of_request(MILK)
    found = flask_case.check(healthy_traffic, incident, flask_case.patch("shop.py", LOOKUP, "0"))
    assert found.outcome is Outcome.INCONCLUSIVE


def test_words_of_a_page_are_compared(case):
    """A body that is no JSON is compared word by word."""
    page = """
        import itertools, time
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/html")])
            if environ["PATH_INFO"] == "/crash":
                {}["x"]
            return [f"<p>shop open at {time.time_ns()}</p>".encode()]
        """
    made = case({"page.py": page}, 'app = "page:app"')
    incident = made.incident_of_request(Request(path="/crash"), Request(path="/"))
    same = made.check(healthy_traffic, incident, made.patch("page.py", '{}["x"]', "pass"))
    changed = made.check(healthy_traffic, incident, made.patch("page.py", "shop open", "shop closed"))
    assert (same.outcome, changed.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED), (same.detail, changed.detail)
