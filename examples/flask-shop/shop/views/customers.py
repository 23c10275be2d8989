"""Customers."""

from flask import Blueprint, jsonify

from shop.services import customers, loyalty

blueprint = Blueprint("customers", __name__, url_prefix="/customers")


@blueprint.get("/<customer_id>")
def profile(customer_id):
    return jsonify(customers.profile(customer_id))


@blueprint.get("/<customer_id>/account")
def account(customer_id):
    return jsonify(customers.account(customer_id))


@blueprint.get("/leaderboard")
def leaderboard():
    return jsonify(loyalty.leaderboard())
