"""Browsing the catalogue."""

from flask import abort

from shop import paging, repository
from shop.services import ratings


def browse(category, page):
    products = repository.all_products()
    if category:
        products = [product for product in products if product.category == category]
        if not products:
            abort(404, description=f"no category {category}")
    return paging.page_of([product.as_dict() for product in products], page)


def details(sku):
    product = repository.find_product(sku)
    if product is None:
        abort(404, description=f"no product {sku}")
    return product.as_dict()


def rating(sku):
    scores = repository.ratings_of(sku)
    return {"sku": sku, "reviews": len(scores), "average": round(ratings.average(scores), 1)}


def compare(first, second):
    """The price difference of two products and which of them is the cheaper one."""
    left = repository.find_product(first)
    right = repository.find_product(second)
    cheaper = left if left.price <= right.price else right
    return {"cheaper": cheaper.sku, "difference": str(abs(left.price - right.price))}
