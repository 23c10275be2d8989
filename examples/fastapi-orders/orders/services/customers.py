"""Customers and their conditions."""

from fastapi import HTTPException

from orders import store
from orders.services import tiers


def card(customer_id: str) -> dict:
    customer = store.find_customer(customer_id)
    if customer is None:
        raise HTTPException(status_code=404, detail=f"customer {customer_id} not found")
    return {"id": customer.id, "name": customer.name, "tier": customer.tier}


async def terms(customer_id: str, amount: float) -> dict:
    if amount < 0:
        raise HTTPException(status_code=422, detail="amount must not be negative")
    percent = tiers.discount_of(customer_id)
    return {"customer": customer_id, "percent": percent, "payable": round(amount * (100 - percent) / 100, 2)}
