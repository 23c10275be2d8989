"""Where an order is."""

from fastapi import HTTPException

from orders import store
from orders.schemas import Order


def load(order_id: str) -> Order:
    order = store.find_order(order_id)
    if order is None:
        raise HTTPException(status_code=404, detail=f"order {order_id} not found")
    return order


def overview(order_id: str) -> dict:
    order = load(order_id)
    last = order.events[-1]["status"] if order.events else "new"
    return {"id": order.id, "total": order.total, "status": last}


def position(order_id: str) -> dict:
    order = load(order_id)
    latest = latest_event(order.events)
    return {"id": order.id, "place": latest["place"], "status": latest["status"]}


def latest_event(events: list) -> dict:
    return events[-1]
