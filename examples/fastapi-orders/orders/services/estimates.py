"""Shipping estimates."""

from fastapi import HTTPException

from orders.services import parcels

PER_PARCEL = {"road": 6.5, "air": 19.0}


def estimate(carrier: str, lines: list) -> dict:
    if carrier not in PER_PARCEL:
        raise HTTPException(status_code=422, detail=f"unknown carrier {carrier}")
    if not lines:
        raise HTTPException(status_code=422, detail="lines must not be empty")
    units = parcels.count_units(lines)
    number = parcels.parcels_for(units)
    return {"units": units, "parcels": number, "price": number * PER_PARCEL[carrier]}
