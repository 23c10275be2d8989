"""Invoices and their lines."""

from datetime import date, timedelta
from decimal import Decimal

from flask import Blueprint, abort, current_app, jsonify, request

from invoices import store
from invoices.customers import customer_or_none

bp = Blueprint("documents", __name__, url_prefix="/invoices")


def lines_of(number):
    return store.query("select * from line where invoice_id = ? order by title", number)


def total_cents(lines, discount=None):
    total = sum(line["quantity"] * line["cents"] for line in lines)
    return round(total * (1 - (discount or 0)))


def find(number):
    row = store.one("select * from invoice where id = ?", number)
    if row is None:
        abort(404)
    return row


@bp.get("/<int:number>")
def show(number):
    invoice = find(number)
    customer = customer_or_none(invoice["customer_id"])
    lines = lines_of(number)
    issued = date.fromisoformat(invoice["issued"])
    due = issued + timedelta(days=current_app.config["DUE_DAYS"])
    total = total_cents(lines, customer["discount"])
    return {
        "number": "%s-%04d" % (current_app.config["PREFIX"], number),
        "customer": customer["name"],
        "due": due.isoformat(),
        "total": total,
        "tax": str((Decimal(total) * current_app.config["TAX"] / 100).quantize(Decimal("0.01"))),
        "note": (invoice["note"] or "").title(),
    }


@bp.get("/<int:number>/lines/<int:position>")
def line(number, position):
    lines = lines_of(find(number)["id"])
    if position < 1 or position > len(lines):
        return jsonify(error="no such line"), 404
    return {"title": lines[position - 1]["title"]}


@bp.get("/<int:number>/average")
def average(number):
    lines = lines_of(find(number)["id"])
    if not lines:
        return {"average": 0}
    return {"average": total_cents(lines) // len(lines)}


@bp.get("/<int:number>/dearest")
def dearest(number):
    lines = lines_of(find(number)["id"])
    best = max(lines, key=lambda line: line["cents"], default=None)
    return {"title": best["title"] if best is not None else None}


@bp.post("")
def create():
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        return jsonify(error="a JSON object is expected"), 400
    customer = customer_or_none(body.get("customer"))
    if customer is None:
        return jsonify(error="no such customer"), 422
    lines = body.get("lines", [])
    for entry in lines:
        if "title" not in entry or "cents" not in entry:
            return jsonify(error="a line has title and cents"), 400
    number = store.write(
        "insert into invoice (customer_id, issued) values (?, ?)", customer["id"], body.get("issued", "2024-05-01")
    )
    for entry in lines:
        store.write(
            "insert into line values (?, ?, ?, ?)", number, entry["title"], int(entry.get("quantity", 1)), entry["cents"]
        )
    return {"id": number, "lines": len(lines)}, 201


@bp.get("/range")
def in_range():
    try:
        first = date.fromisoformat(request.args.get("from", "2024-01-01"))
        last = date.fromisoformat(request.args.get("to", "2024-12-31"))
    except ValueError:
        return jsonify(error="dates are written YYYY-MM-DD"), 400
    rows = store.query("select * from invoice where issued between ? and ?", first.isoformat(), last.isoformat())
    return {"numbers": [row["id"] for row in rows], "days": (last - first).days}
