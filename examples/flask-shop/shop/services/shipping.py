"""Shipping rates."""

from decimal import Decimal

from flask import abort

from shop import repository

FREE_FROM = Decimal("60")


def cost(address, amount):
    country = address["country"]
    rate = repository.shipping_rate(country)
    if rate is None:
        abort(400, description=f"we do not ship to {country}")
    return Decimal("0") if amount >= FREE_FROM else rate
