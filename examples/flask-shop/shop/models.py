"""What the shop sells and to whom."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    category: str
    price: Decimal
    stock: int = 0

    def as_dict(self):
        return {
            "sku": self.sku,
            "name": self.name,
            "category": self.category,
            "price": str(self.price),
            "in_stock": self.stock > 0,
        }


@dataclass(frozen=True)
class Coupon:
    code: str
    percent: int
    minimum: Decimal = Decimal("0")
