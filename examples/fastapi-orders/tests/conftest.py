import pytest
from fastapi.testclient import TestClient
from orders.main import app


@pytest.fixture
def client():
    return TestClient(app)
