"""The stored orders, customers and stock, kept in memory."""

from typing import Dict, List, Optional

from orders.schemas import Customer, Order

_customers: Dict[str, Customer] = {
    customer.id: customer
    for customer in (
        Customer("k-1", "Hypatia", "gold"),
        Customer("k-2", "Archimedes"),
        Customer("k-3", "Eratosthenes", "silver"),
    )
}

_orders: Dict[str, Order] = {
    order.id: order
    for order in (
        Order(
            "o-1000",
            "k-1",
            "north",
            240.0,
            [
                {"status": "packed", "place": "Hamburg"},
                {"status": "in transit", "place": "Hanover"},
                {"status": "delivered", "place": "Bremen"},
            ],
        ),
        Order("o-1001", "k-2", "north", 60.0, [{"status": "packed", "place": "Hamburg"}]),
        Order("o-1002", "k-1", "west", 99.5, [{"status": "in transit", "place": "Cologne"}]),
        Order("o-1003", "k-3", "west", 20.5),
    )
}

REGIONS = ("north", "west", "south")

_stock: Dict[str, dict] = {
    "bolt-m6": {"on_hand": 5400, "reserved": 1200, "bin": "A-01"},
    "bolt-m8": {"on_hand": 3100, "reserved": 0, "bin": "A-02"},
    "hinge": {"on_hand": 240, "bin": "C-11"},
    "bracket": {"on_hand": 87, "reserved": 12, "bin": "C-12"},
}

_tracking: Dict[str, str] = {"TN-77": "o-1000", "TN-78": "o-1001", "TN-79": "o-1002"}


def find_order(order_id: str) -> Optional[Order]:
    return _orders.get(order_id)


def find_customer(customer_id: str) -> Optional[Customer]:
    return _customers.get(customer_id)


def orders_in(region: str) -> List[Order]:
    return [order for order in _orders.values() if order.region == region]


def stock_record(article: str) -> Optional[dict]:
    return _stock.get(article)


def all_stock() -> Dict[str, dict]:
    return _stock


def order_of_tracking(number: str) -> Optional[Order]:
    order_id = _tracking.get(number)
    return _orders.get(order_id) if order_id else None
