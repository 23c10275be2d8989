"""Customers and their accounts."""

from flask import abort

from shop import repository
from shop.services import loyalty


def profile(customer_id):
    record = repository.find_customer(customer_id)
    if record is None:
        abort(404, description=f"no customer {customer_id}")
    return {"name": record["name"], "email": record["email"], "address": record["address"]}


def account(customer_id):
    record = repository.find_customer(customer_id)
    if record is None:
        abort(404, description=f"no customer {customer_id}")
    return {"name": record["name"], "loyalty": loyalty.status(record)}
