def test_gold_customers_pay_less(client):
    answer = client.get("/customers/k-1/terms?amount=200").json()
    assert answer == {"customer": "k-1", "percent": 12, "payable": 176.0}


def test_an_unknown_customer_is_not_found(client):
    assert client.get("/customers/k-9").status_code == 404


def test_a_negative_amount_is_refused(client):
    assert client.get("/customers/k-1/terms?amount=-1").status_code == 422
