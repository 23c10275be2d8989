"""The real SDKs, each in an app of its own, against the real endpoint."""

from __future__ import annotations

import sys

import pytest

ROLLBAR = """
import rollbar, rollbar.contrib.flask
from flask import got_request_exception

rollbar.init("k3y", "production", endpoint="{url}/api/1/", handler="blocking", include_request_body=True,
             allow_logging_basic_config=False)
got_request_exception.connect(rollbar.contrib.flask.report_exception, app)
"""
BUGSNAG = """
import bugsnag
from bugsnag.flask import handle_exceptions

bugsnag.configure(api_key="k3y", endpoint="{url}", session_endpoint="{url}", asynchronous=False,
                  project_root="{root}")
handle_exceptions(app)
"""
HONEYBADGER = """
from honeybadger.contrib import FlaskHoneybadger

app.config.update(HONEYBADGER_API_KEY="k3y", HONEYBADGER_ENDPOINT="{url}", HONEYBADGER_FORCE_REPORT_DATA=True,
                  HONEYBADGER_REPORT_LOCAL_VARIABLES=True, HONEYBADGER_FORCE_SYNC=True)
FlaskHoneybadger(app, report_exceptions=True)
"""
ELASTIC = """
from elasticapm.contrib.flask import ElasticAPM

app.config["ELASTIC_APM"] = {{"SERVICE_NAME": "shop", "SERVER_URL": "{url}", "CAPTURE_BODY": "all", "SECRET_TOKEN": "k3y",
                             "METRICS_INTERVAL": "0s", "CLOUD_PROVIDER": "none", "CENTRAL_CONFIG": "false"}}
apm = ElasticAPM(app)
"""
SDKS = {"rollbar": ROLLBAR, "bugsnag": BUGSNAG, "honeybadger": HONEYBADGER, "elastic-apm": ELASTIC}
FLUSH = {"elastic-apm": "apm.client.close()\napm.client._transport._thread.join(20)"}


@pytest.mark.parametrize("name", SDKS)
def test_a_crash_that_only_an_sdk_reports(name, heard, run_app, place, monkeypatch):
    """One run of each SDK: what of the crash arrives. The endpoint wants the token that the SDK sends."""
    monkeypatch.setenv("TRACKER_TOKENS", "other,k3y")
    endpoint = heard(token_env="TRACKER_TOKENS")
    run_app(SDKS[name].format(url=endpoint.url, root=place.root), FLUSH.get(name, ""))
    (event,) = endpoint.sink.events
    assert event.source == f"trackers:{name}"
    assert name in {source for source, _, _ in endpoint.sink.heard_of}
    assert "s3cr3t" not in event.model_dump_json()
    _the_chain_is_told(name, event)
    _no_frame_of_a_library_is_taken_for_one_of_the_project(event, place)
    _the_request_can_be_sent_again(name, event)
    _local_variables_are_told(name, event)
    if name == "elastic-apm":
        assert [seen[:4] for seen in endpoint.sink.requests] == [("shop", "/carts/<int:number>", 1, 1)]


def _the_chain_is_told(name, event):
    assert event.raised.dotted == "shop.cart.CartError"
    assert event.raised.message == "no total"
    assert [(cause.type, cause.relation, cause.parent) for cause in event.exceptions[1:]] == [("KeyError", "cause", 0)]
    assert event.crash_frame.qualname == "checkout"
    frames = event.exceptions[1].frames
    if name == "honeybadger":  # its SDK repeats the frames of the exception that escaped
        assert not frames
        return
    crashed = frames[-1]
    assert (crashed.qualname, crashed.span.line, crashed.source_line) == ("Cart.price", 11, 'return row["price"]')
    assert crashed.module == "shop.cart"


def _no_frame_of_a_library_is_taken_for_one_of_the_project(event, place):
    for raised in event.exceptions:
        for frame in raised.frames:
            assert frame.in_app == frame.path.startswith(str(place.root)), frame.path


def _the_request_can_be_sent_again(name, event):
    request = event.request
    assert (request.method, request.path) == ("POST", "/carts/3")
    assert request.query == ("" if name == "bugsnag" else "page=1")
    assert (b'"sku"' in request.body) == (name != "honeybadger")


def _local_variables_are_told(name, event):
    if name in ("rollbar", "elastic-apm"):
        values = event.exceptions[1].frames[-1].locals
        assert (values["row"].type, values["row"].keys, values["self"].type) == ("dict", ("'sku'",), "Cart")
    elif name == "honeybadger":
        # Its SDK cannot read those of a frame of Python 3.13.
        assert ("rows" in event.raised.frames[-1].locals) == (sys.version_info < (3, 13))
    else:
        assert not event.raised.frames[-1].locals
        assert any("local variables" in loss for loss in event.losses)
