"""Figures for the sales team."""

from typing import List

from fastapi import HTTPException

from orders import store


def mean(values: List[float]) -> float:
    return sum(values) / len(values)


def region(name: str) -> dict:
    if name not in store.REGIONS:
        raise HTTPException(status_code=404, detail=f"region {name} not found")
    totals = [order.total for order in store.orders_in(name)]
    return {
        "region": name,
        "orders": len(totals),
        "revenue": sum(totals),
        "largest": max(totals, default=0.0),
        "average": mean(totals),
    }
