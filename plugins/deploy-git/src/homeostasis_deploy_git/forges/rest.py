"""One way to talk to a REST API: JSON, a token that is never shown, and patience when it is asked for."""

from __future__ import annotations

import time
from typing import Any, Mapping

import httpx

from homeostasis.errors import DeployError

_TIMEOUT = 30.0
_TRIES = 3
_LONGEST_WAIT = 20.0
_LONGEST_REASON = 300


class Refused(DeployError):
    """The forge did not do it; `status` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Rest:
    """A client for one API.

    Args:
        api: its address.
        headers: sent with each request; one of them carries the token.
        token: cut out of every message.
    """

    def __init__(self, api: str, headers: Mapping[str, str], token: str) -> None:
        self._api, self._headers, self._token = api, dict(headers), token

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the answer's JSON, or None if it has none. Waits and tries again when told to.

        Args:
            method: the HTTP method.
            path: below the API's address.
            options: `json` and `params`, as httpx has them.

        Raises:
            Refused: the answer is no 2xx.
            DeployError: there is no answer.
        """
        for left in reversed(range(_TRIES)):
            try:
                # Redirects would carry the token elsewhere. A handful of calls needs no connection that is kept.
                answer = httpx.request(
                    method,
                    f"{self._api}{path}",
                    headers=self._headers,
                    timeout=_TIMEOUT,
                    follow_redirects=False,
                    **options,
                )
            except httpx.HTTPError as error:
                if left and method == "GET":
                    continue
                raise DeployError(
                    f"{self._api} cannot be reached: {type(error).__name__}: {self._clean(str(error))}"
                ) from None
            if left and _worth_waiting(answer):
                time.sleep(_wait(answer))
                continue
            if answer.is_success:
                return answer.json() if answer.content else None
            reason = f"{method} {path} was answered with {answer.status_code}: {self._clean(_reason(answer))}"
            raise Refused(reason, answer.status_code)
        raise AssertionError("unreachable")

    def _clean(self, text: str) -> str:
        return text.replace(self._token, "***")[:_LONGEST_REASON]


def _worth_waiting(answer: httpx.Response) -> bool:
    limited = answer.status_code == 429 or (answer.status_code == 403 and "retry-after" in answer.headers)
    return limited or answer.status_code in (502, 503)


def _wait(answer: httpx.Response) -> float:
    try:
        return min(_LONGEST_WAIT, max(0.0, float(answer.headers.get("retry-after", "1"))))
    except ValueError:
        return 1.0


def _reason(answer: httpx.Response) -> str:
    try:
        found = answer.json()
    except ValueError:
        return " ".join(answer.text.split())
    if not isinstance(found, dict):
        return str(found)
    details = [
        str(item.get("message") or item) if isinstance(item, dict) else str(item) for item in found.get("errors") or ()
    ]
    return "; ".join([str(found.get("message") or found.get("error") or found), *details])
