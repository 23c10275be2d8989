"""Stock levels."""

from fastapi import HTTPException

from orders import store


def available(record: dict) -> int:
    return record["on_hand"] - record["reserved"]


def overview() -> dict:
    records = store.all_stock()
    return {
        "articles": len(records),
        "on_hand": sum(record["on_hand"] for record in records.values()),
        "reserved": sum(record.get("reserved", 0) for record in records.values()),
    }


def article(name: str) -> dict:
    record = store.stock_record(name)
    if record is None:
        raise HTTPException(status_code=404, detail=f"article {name} not found")
    return {"article": name, "bin": record["bin"], "available": available(record)}
