"""Figures over all invoices."""

from collections import Counter, defaultdict

from flask import Blueprint, jsonify, request

from invoices import store
from invoices.documents import lines_of, total_cents

bp = Blueprint("reports", __name__, url_prefix="/reports")

GROUPS = {"month": 7, "year": 4}


@bp.get("/revenue")
def revenue():
    group = request.args.get("by", "month")
    length = GROUPS.get(group)
    if length is None:
        return jsonify(error="by is month or year"), 400
    totals = defaultdict(int)
    for invoice in store.query("select * from invoice order by id"):
        totals[invoice["issued"][:length]] += total_cents(lines_of(invoice["id"]))
    return dict(totals)


@bp.get("/titles")
def titles():
    counts = Counter()
    for line in store.query("select * from line"):
        counts[line["title"]] += line["quantity"]
    wanted = request.args.get("title")
    if wanted:
        return {"title": wanted, "sold": counts.get(wanted, 0)}
    return {"titles": sorted(counts.items())}


@bp.get("/share")
def share():
    customers = store.count("customer")
    buyers = store.one("select count(distinct customer_id) as number from invoice where issued >= ?", request.args.get("since", ""))
    late = store.query("select distinct customer_id from invoice where issued < ?", request.args.get("since", ""))
    ratio = len(late) / buyers["number"] if buyers["number"] else 0
    return {"customers": customers, "buyers": buyers["number"], "late": ratio}


@bp.get("/cleanup")
def cleanup():
    pending = {row["id"]: row["note"] for row in store.query("select * from invoice")}
    for number in list(pending):
        if pending[number] is None:
            del pending[number]
    return {"kept": sorted(pending)}
