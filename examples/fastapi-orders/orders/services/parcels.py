"""Packing."""

UNITS_PER_PARCEL = 20


def count_units(lines: list) -> int:
    units = 0
    for line in lines:
        units += line.get("quantity", 1)
    return units


def parcels_for(units: int) -> int:
    return -(-units // UNITS_PER_PARCEL)
