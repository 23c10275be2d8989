"""Discounts by tier."""

from orders import store

PERCENT = {"standard": 0, "silver": 5, "gold": 12}


def discount_of(customer_id: str) -> int:
    customer = store.find_customer(customer_id)
    return PERCENT.get(customer.tier, 0)
