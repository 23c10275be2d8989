"""Checkout."""

from flask import Blueprint, abort, jsonify, request

from shop.services import checkout

blueprint = Blueprint("checkout", __name__, url_prefix="/checkout")


@blueprint.post("/quote")
def quote():
    order = request.get_json()
    if not isinstance(order, dict):
        abort(400, description="the body must be a JSON object")
    return jsonify(checkout.quote(order))
