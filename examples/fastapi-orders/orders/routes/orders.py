"""Orders, their tracking and shipping estimates."""

from fastapi import APIRouter

from orders.schemas import EstimateRequest
from orders.services import estimates, tracking

router = APIRouter(prefix="/orders", tags=["orders"])


@router.get("/{order_id}")
async def order(order_id: str):
    return tracking.overview(order_id)


@router.get("/{order_id}/position")
async def position(order_id: str):
    return tracking.position(order_id)


@router.post("/estimate")
def estimate(request: EstimateRequest):
    return estimates.estimate(request.carrier, request.lines)
