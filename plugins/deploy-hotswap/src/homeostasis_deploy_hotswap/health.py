"""Asks the app's health address."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request

from homeostasis.errors import DeployError

_POLL = 0.05
_LONGEST_REQUEST = 5.0


def problem(url: str, timeout: float) -> str | None:
    """Ask once.

    Returns:
        None if the answer's status is below 400, else a phrase that follows the address.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=min(_LONGEST_REQUEST, timeout)):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"answers {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:  # the last: what answers is no HTTP server
        return f"does not answer ({getattr(error, 'reason', error)})"


def wait_until_healthy(url: str, timeout: float) -> None:
    """Ask until the answer is good.

    Raises:
        DeployError: it was not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = problem(url, timeout)
        if found is None:
            return
        if time.monotonic() > deadline:
            raise DeployError(f"{url} {found} {timeout:g} s after the reload")
        time.sleep(_POLL)
