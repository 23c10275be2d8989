"""The health address: whatever is wrong with it comes as a phrase, so that a deployment can be taken back."""

from __future__ import annotations

import socket
import threading

import pytest

from homeostasis_deploy_hotswap import health


@pytest.mark.parametrize("said", [b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200])
def test_an_answer_that_is_no_http(said):
    """Such as the alert of a TLS port, or headers without end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        found = health.problem(f"http://127.0.0.1:{server.getsockname()[1]}/", 10.0)
        thread.join()
    assert found is not None
    assert found.startswith("does not answer (")


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:port/", "http://127.0.0.1:1/", "http://a b/"])
def test_an_address_that_leads_nowhere(url):
    """Also one that is none."""
    assert (health.problem(url, 1.0) or "").startswith("does not answer (")
