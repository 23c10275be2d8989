import pytest


def basket(**changes):
    return {
        "items": [{"sku": "TEA-001", "quantity": 2}, {"sku": "CUP-001", "quantity": 1}],
        "address": {"city": "Berlin", "country": "DE"},
        **changes,
    }


def test_a_quote_adds_up(client):
    answer = client.post("/checkout/quote", json=basket()).get_json()
    assert answer == {"subtotal": "31.80", "discount": "0", "shipping": "3.90", "total": "35.70"}


def test_a_coupon_reduces_the_total(client):
    answer = client.post("/checkout/quote", json=basket(coupon="TEATIME")).get_json()
    assert answer["discount"] == "4.77"


def test_large_orders_ship_free(client):
    answer = client.post("/checkout/quote", json=basket(items=[{"sku": "POT-001", "quantity": 1}])).get_json()
    assert answer["shipping"] == "0"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"items": []}, 400),
        ({"address": None}, 400),
        ({"coupon": "NOPE"}, 400),
        ({"items": [{"sku": "NOPE", "quantity": 1}]}, 404),
        ({"address": {"country": "AQ"}}, 400),
    ],
)
def test_a_bad_order_is_refused_with_a_reason(client, changes, status):
    answer = client.post("/checkout/quote", json=basket(**changes))
    assert answer.status_code == status
    assert answer.get_json()["error"]
