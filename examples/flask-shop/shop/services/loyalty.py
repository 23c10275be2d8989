"""Loyalty points."""

from shop import repository

GOLD = 1000


def leaderboard():
    ranked = sorted(repository.all_customers(), key=lambda entry: entry[1].get("points", 0), reverse=True)
    return [{"customer": key, "points": record.get("points", 0)} for key, record in ranked]


def status(record):
    points = record["points"]
    return {"points": points, "level": "gold" if points >= GOLD else "standard"}
