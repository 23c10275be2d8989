def test_products_come_in_pages(client):
    answer = client.get("/products").get_json()
    assert answer["pages"] == 3
    assert [item["sku"] for item in answer["items"]] == ["TEA-001", "TEA-002", "TEA-003"]
    assert [item["sku"] for item in client.get("/products?page=3").get_json()["items"]] == ["POT-002"]


def test_products_can_be_filtered(client):
    answer = client.get("/products?category=cups").get_json()
    assert [item["in_stock"] for item in answer["items"]] == [True, False]


def test_an_unknown_category_or_product_is_not_found(client):
    assert client.get("/products?category=books").status_code == 404
    answer = client.get("/products/TEA-999")
    assert answer.status_code == 404
    assert answer.get_json() == {"error": "no product TEA-999"}


def test_the_rating_is_the_average_of_the_reviews(client):
    assert client.get("/products/TEA-001/rating").get_json() == {"sku": "TEA-001", "reviews": 3, "average": 4.7}


def test_two_products_can_be_compared(client):
    answer = client.get("/compare?first=CUP-001&second=CUP-002").get_json()
    assert answer == {"cheaper": "CUP-002", "difference": "3.00"}
    assert client.get("/compare?first=CUP-001").status_code == 400
