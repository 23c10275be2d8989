def test_a_profile_shows_the_address(client):
    answer = client.get("/customers/c-102").get_json()
    assert answer["name"] == "Konrad Zuse"
    assert answer["address"]["city"] == "Berlin"


def test_an_unknown_customer_is_not_found(client):
    assert client.get("/customers/c-999").status_code == 404
    assert client.get("/customers/c-999/account").status_code == 404


def test_many_points_make_a_gold_account(client):
    assert client.get("/customers/c-101/account").get_json()["loyalty"] == {"points": 1280, "level": "gold"}


def test_the_leaderboard_counts_those_without_points_as_zero(client):
    assert client.get("/customers/leaderboard").get_json()[-1] == {"customer": "c-102", "points": 0}
