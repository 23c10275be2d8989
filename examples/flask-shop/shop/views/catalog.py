"""The catalogue."""

from flask import Blueprint, abort, jsonify, request

from shop.services import catalog

blueprint = Blueprint("catalog", __name__)


@blueprint.get("/products")
def products():
    page = request.args.get("page", 1, type=int)
    return jsonify(catalog.browse(request.args.get("category"), page))


@blueprint.get("/products/<sku>")
def product(sku):
    return jsonify(catalog.details(sku))


@blueprint.get("/products/<sku>/rating")
def rating(sku):
    return jsonify(catalog.rating(sku))


@blueprint.get("/compare")
def compare():
    first = request.args.get("first")
    second = request.args.get("second")
    if not first or not second:
        abort(400, description="first and second are required")
    return jsonify(catalog.compare(first, second))
