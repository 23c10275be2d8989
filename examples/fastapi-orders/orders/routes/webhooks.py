"""Calls from the carriers."""

from fastapi import APIRouter, Body

from orders.services import carriers

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.post("/carrier")
async def carrier(payload: dict = Body(...)):
    return await carriers.receive(payload)
