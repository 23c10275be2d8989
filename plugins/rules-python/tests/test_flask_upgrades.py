"""Apps written for Flask before 2.3, run with the installed one, healed and run again."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("flask", reason="flask is not installed: pip install flask")

try:
    from flask.json import JSONEncoder  # noqa: F401
except ImportError:
    pass
else:
    pytest.skip("the installed Flask still has what 2.3 removed: pip install 'flask>=2.3'", allow_module_level=True)

ENCODER = """\
from datetime import date

from flask.json import JSONEncoder


class DateEncoder(JSONEncoder):
    def default(self, value):
        if isinstance(value, date):
            return value.strftime("%d.%m.%Y")
        return JSONEncoder.default(self, value)
"""
APP = """\
from datetime import date
from decimal import Decimal

from flask import Flask, jsonify

from encoder import DateEncoder

app = Flask(__name__)
app.json_encoder = DateEncoder


@app.get("/")
def index():
    return jsonify(day=date(2024, 1, 2), price=Decimal("1.50"))
"""
STACK = """\
from flask import Flask, _request_ctx_stack

app = Flask(__name__)


def known():
    ctx = _request_ctx_stack.top
    return ctx is not None and ctx.request.path


@app.get("/")
def index():
    return {"inside": known(), "again": _request_ctx_stack.top.request.method}
"""


def test_an_encoder_becomes_a_provider(heal: Any) -> None:
    """The class and the app that uses it change together, and what the class does not know is encoded as before."""
    done = heal({"encoder.py": ENCODER, "app.py": APP}, "import app")
    assert done.best.rule_id == "flask-json-encoder"
    answer = done.after("from app import app; print(app.test_client().get('/').get_json())")
    assert answer == "{'day': '02.01.2024', 'price': '1.50'}"


def test_the_top_of_a_stack_becomes_the_context(heal: Any) -> None:
    """Outside of a request it is None, as it was."""
    done = heal({"app.py": STACK}, "import app")
    assert done.best.rule_id == "flask-context-stack"
    answer = done.after("from app import app, known; print(known(), app.test_client().get('/').get_json())")
    assert answer == "False {'again': 'GET', 'inside': '/'}"
