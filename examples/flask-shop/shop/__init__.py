"""A small web shop."""

from flask import Flask

from homeostasis.monitoring import setup_monitoring
from shop import errors
from shop.views import catalog, checkout, customers


def create_app():
    app = Flask(__name__)
    errors.register(app)
    app.register_blueprint(catalog.blueprint)
    app.register_blueprint(customers.blueprint)
    app.register_blueprint(checkout.blueprint)
    setup_monitoring(app, config={"redact_names": ["card_number"]})
    return app
