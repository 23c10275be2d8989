"""Access to the stored data."""

from decimal import Decimal

from shop.data import seed
from shop.models import Coupon, Product


def _product(row):
    return Product(row["sku"], row["name"], row["category"], Decimal(row["price"]), row.get("stock", 0))


_products = {row["sku"]: _product(row) for row in seed.PRODUCTS}


def all_products():
    return list(_products.values())


def find_product(sku):
    return _products.get(sku)


def ratings_of(sku):
    return seed.REVIEWS.get(sku, [])


def find_customer(customer_id):
    return seed.CUSTOMERS.get(customer_id)


def all_customers():
    return seed.CUSTOMERS.items()


def find_coupon(code):
    for row in seed.COUPONS:
        if row["code"] == code:
            return Coupon(row["code"], row["percent"], Decimal(row.get("minimum", "0")))
    return None


def shipping_rate(country):
    rate = seed.SHIPPING.get(country)
    return Decimal(rate) if rate is not None else None
