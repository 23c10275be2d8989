"""Quotes for a basket."""

from flask import abort

from shop.services import pricing, shipping


def quote(order):
    if not order.get("items"):
        abort(400, description="items is required")
    if not order.get("address"):
        abort(400, description="address is required")
    amount = pricing.subtotal(order["items"])
    reduction = pricing.discount(amount, order.get("coupon"))
    freight = shipping.cost(order["address"], amount - reduction)
    return {
        "subtotal": str(amount),
        "discount": str(reduction),
        "shipping": str(freight),
        "total": str(amount - reduction + freight),
    }
