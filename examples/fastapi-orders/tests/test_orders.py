def test_an_order_shows_its_last_status(client):
    assert client.get("/orders/o-1000").json() == {"id": "o-1000", "total": 240.0, "status": "delivered"}
    assert client.get("/orders/o-1003").json()["status"] == "new"


def test_an_unknown_order_is_not_found(client):
    answer = client.get("/orders/o-9")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "order o-9 not found"}


def test_the_position_is_that_of_the_last_event(client):
    answer = client.get("/orders/o-1002/position").json()
    assert answer == {"id": "o-1002", "place": "Cologne", "status": "in transit"}


def test_an_estimate_counts_parcels(client):
    lines = [{"article": "hinge", "quantity": 30}, {"article": "bracket"}]
    answer = client.post("/orders/estimate", json={"carrier": "air", "lines": lines}).json()
    assert answer == {"units": 31, "parcels": 2, "price": 38.0}


def test_an_estimate_refuses_unknown_carriers_and_empty_orders(client):
    assert client.post("/orders/estimate", json={"carrier": "sea", "lines": [{}]}).status_code == 422
    assert client.post("/orders/estimate", json={"lines": []}).status_code == 422
