"""What carriers tell us."""

from fastapi import HTTPException

from orders import store

STATUSES = ("picked up", "in transit", "delivered")


async def receive(payload: dict) -> dict:
    notice = parse(payload)
    order = store.order_of_tracking(notice["number"])
    if order is None:
        raise HTTPException(status_code=404, detail=f"tracking number {notice['number']} not found")
    return {"order": order.id, "status": notice["status"]}


def parse(payload: dict) -> dict:
    status = payload.get("status", "in transit")
    if status not in STATUSES:
        raise HTTPException(status_code=422, detail=f"unknown status {status}")
    return {"number": payload["tracking_number"], "status": status}
