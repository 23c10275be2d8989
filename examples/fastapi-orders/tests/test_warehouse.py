def test_reserved_stock_is_not_available(client):
    assert client.get("/stock/bolt-m6").json() == {"article": "bolt-m6", "bin": "A-01", "available": 4200}
    assert client.get("/stock/nail").status_code == 404


def test_the_overview_adds_up(client):
    assert client.get("/stock").json() == {"articles": 4, "on_hand": 8827, "reserved": 1212}


def test_a_region_is_summed_up(client):
    answer = client.get("/reports/region/north").json()
    assert answer == {"region": "north", "orders": 2, "revenue": 300.0, "largest": 240.0, "average": 150.0}
    assert client.get("/reports/region/moon").status_code == 404


def test_a_carrier_reports_a_status(client):
    answer = client.post("/webhooks/carrier", json={"tracking_number": "TN-78", "status": "delivered"})
    assert answer.json() == {"order": "o-1001", "status": "delivered"}


def test_a_carrier_is_told_what_was_wrong(client):
    assert client.post("/webhooks/carrier", json={"tracking_number": "TN-1"}).status_code == 404
    assert client.post("/webhooks/carrier", json={"tracking_number": "TN-78", "status": "lost"}).status_code == 422
