"""Seed data, exported from the merchant's spreadsheet."""

PRODUCTS = [
    {"sku": "TEA-001", "name": "Assam", "category": "tea", "price": "8.90", "stock": 120},
    {"sku": "TEA-002", "name": "Sencha", "category": "tea", "price": "12.50", "stock": 42},
    {"sku": "TEA-003", "name": "Rooibos", "category": "tea", "price": "6.20", "stock": 77},
    {"sku": "CUP-001", "name": "Stoneware cup", "category": "cups", "price": "14.00", "stock": 18},
    {"sku": "CUP-002", "name": "Glass cup", "category": "cups", "price": "11.00", "stock": 0},
    {"sku": "POT-001", "name": "Cast iron pot", "category": "pots", "price": "64.00", "stock": 5},
    {"sku": "POT-002", "name": "Porcelain pot", "category": "pots", "price": "48.50", "stock": 9},
]

REVIEWS = {
    "TEA-001": [5, 4, 5],
    "TEA-002": [4, 4],
    "TEA-003": [3, 5, 4, 4],
    "CUP-001": [5],
    "POT-001": [4, 5],
    "POT-002": [],
}

CUSTOMERS = {
    "c-100": {
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "phone": "+44 20 7946 0001",
        "address": {"street": "12 St James's Square", "city": "London", "country": "GB"},
        "points": 340,
    },
    "c-101": {
        "name": "Grace Hopper",
        "email": "grace@example.org",
        "phone": "+1 202 555 0101",
        "address": {"street": "8 Harbor Lane", "city": "Arlington", "country": "US"},
        "points": 1280,
    },
    "c-102": {
        "name": "Konrad Zuse",
        "email": "konrad@example.org",
        "phone": "+49 30 5550 102",
        "address": {"street": "Methfesselstr. 7", "city": "Berlin", "country": "DE"},
    },
}

COUPONS = [
    {"code": "WELCOME", "percent": 10},
    {"code": "TEATIME", "percent": 15, "minimum": "30"},
]

SHIPPING = {"DE": "3.90", "GB": "7.50", "US": "14.00", "FR": "5.90"}
