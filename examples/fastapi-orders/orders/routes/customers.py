"""Customers' conditions."""

from fastapi import APIRouter

from orders.services import customers

router = APIRouter(prefix="/customers", tags=["customers"])


@router.get("/{customer_id}")
async def customer(customer_id: str):
    return customers.card(customer_id)


@router.get("/{customer_id}/terms")
async def terms(customer_id: str, amount: float):
    return await customers.terms(customer_id, amount)
