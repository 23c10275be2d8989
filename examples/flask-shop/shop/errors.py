"""Every error leaves the shop as JSON: {"error": "..."}."""

from flask import jsonify
from werkzeug.exceptions import HTTPException


def register(app):
    app.register_error_handler(HTTPException, as_json)


def as_json(error):
    response = jsonify(error=error.description)
    response.status_code = error.code
    return response
