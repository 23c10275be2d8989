"""Invoicing for small firms."""

import os

from flask import Flask, jsonify

from invoices import store
from invoices.settings import load_settings


class Refused(Exception):
    """A request that makes no sense to us."""

    def __init__(self, message, status=400):
        super().__init__(message)
        self.message = message
        self.status = status


def create_app(environ=None):
    app = Flask(__name__)
    app.config.update(load_settings(os.environ if environ is None else environ))
    store.init_app(app)

    from invoices import customers, documents, reports

    app.register_blueprint(customers.bp)
    app.register_blueprint(documents.bp)
    app.register_blueprint(reports.bp)

    @app.errorhandler(Refused)
    def refused(error):
        return jsonify(error=error.message), error.status

    @app.get("/health")
    def health():
        return {"status": "ok", "currency": app.config["CURRENCY"]}

    return app
