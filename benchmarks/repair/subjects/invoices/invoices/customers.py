"""Customers."""

from flask import Blueprint, jsonify, request

from invoices import store

bp = Blueprint("customers", __name__, url_prefix="/customers")


def customer_or_none(number):
    return store.one("select * from customer where id = ?", number)


def as_json(row):
    return {"id": row["id"], "name": row["name"], "mail": (row["email"] or "").lower()}


@bp.get("")
def listing():
    try:
        limit = int(request.args.get("limit", "50"))
    except ValueError:
        return jsonify(error="limit must be a number"), 400
    rows = store.query("select * from customer order by name limit ?", limit)
    return jsonify([as_json(row) for row in rows])


@bp.get("/<int:number>")
def show(number):
    row = customer_or_none(number)
    if row is None:
        return jsonify(error="no such customer"), 404
    return as_json(row)


@bp.get("/<int:number>/domain")
def domain(number):
    row = customer_or_none(number)
    if row is None:
        return jsonify(error="no such customer"), 404
    if row["email"] is None:
        return {"domain": None}
    return {"domain": row["email"].split("@")[1]}


@bp.post("")
def create():
    body = request.get_json(silent=True) or {}
    name = (body.get("name") or "").strip()
    if not name:
        return jsonify(error="name is missing"), 400
    discount = body.get("discount")
    if discount is not None:
        try:
            discount = float(discount)
        except (TypeError, ValueError):
            return jsonify(error="discount must be a number"), 400
    number = store.write("insert into customer (name, email, discount) values (?, ?, ?)", name, body.get("email"), discount)
    return {"id": number, "name": name}, 201


@bp.get("/search")
def search():
    words = request.args.get("q", "").split()
    if not words:
        return jsonify(error="q is missing"), 400
    found = [row for row in store.query("select * from customer order by id") if words[0].lower() in row["name"].lower()]
    best = found[0] if found else None
    return {"count": len(found), "best": best["name"] if best else None}
