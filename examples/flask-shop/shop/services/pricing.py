"""Prices, discounts and totals."""

from decimal import Decimal

from flask import abort

from shop import repository

CENT = Decimal("0.01")


def line_total(price, quantity: int):
    return price * quantity


def subtotal(lines):
    total = Decimal("0")
    for line in lines:
        product = repository.find_product(line["sku"])
        if product is None:
            abort(404, description=f"no product {line['sku']}")
        total += line_total(product.price, line["quantity"])
    return total


def discount(amount, code):
    if not code:
        return Decimal("0")
    coupon = repository.find_coupon(code)
    if coupon is None:
        abort(400, description=f"coupon {code} is not valid")
    if amount < coupon.minimum:
        abort(400, description=f"coupon {code} needs an order of {coupon.minimum} or more")
    return (amount * coupon.percent / 100).quantize(CENT)
