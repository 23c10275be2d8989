"""`Client`: asks a log store over HTTP, and takes no answer that is too large."""

from __future__ import annotations

import json
import math
import ssl
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

import httpx

from homeostasis.errors import ConfigError
from homeostasis_collect_logs.pulling.collector import AskFailed, TooLarge

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis_collect_logs.pulling.settings import PullTable

MAX_WAIT = 300.0
"""Seconds for which a store is left alone at most when it asks for that."""
_SHOWN = 300


class Client:
    """A connection to the store of a collector's settings. It follows no redirects: they could lead the token away.

    Args:
        scheme: how a token is told in the `Authorization` header, such as `Bearer`.
        headers: sent with each request.
    """

    def __init__(
        self, project: Project, settings: PullTable, scheme: str, headers: Optional[Mapping[str, str]] = None
    ) -> None:
        token = settings.token()
        sent = {**(headers or {}), **({"Authorization": f"{scheme} {token}"} if token else {})}
        self._limit = settings.max_response_bytes
        self._http = httpx.Client(
            base_url=settings.url,
            headers=sent,
            auth=httpx.BasicAuth(settings.user, settings.password()) if settings.user is not None else None,
            timeout=settings.timeout,
            verify=_verification(project, settings),
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, method: str, path: str, params: Mapping[str, Any], body: Optional[Dict[str, Any]] = None) -> Any:
        """The JSON document that the store answers with.

        Raises:
            AskFailed: it does not, or not now.
            TooLarge: it is larger than the settings allow.
        """
        try:
            with self._http.stream(method, path, params=dict(params), json=body) as response:
                data = self._read(response)
        except httpx.HTTPError as error:
            raise AskFailed(f"{type(error).__name__}: {error}"[:_SHOWN]) from error
        if response.status_code != 200:
            shown = data[:_SHOWN].decode("utf-8", "replace")
            raise AskFailed(f"status {response.status_code}: {shown}", _retry_after(response.headers))
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise AskFailed(f"the answer is no JSON: {error}"[:_SHOWN]) from error

    def _read(self, response: httpx.Response) -> bytes:
        pieces: List[bytes] = []
        size = 0
        for piece in response.iter_bytes(65_536):
            size += len(piece)
            if size > self._limit:
                raise TooLarge(f"an answer of more than {self._limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)


def _verification(project: Project, settings: PullTable) -> Any:
    if settings.tls_ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(project.root / settings.tls_ca))
    except OSError as error:
        raise ConfigError(f"tls_ca = {settings.tls_ca!r} cannot be used: {error}") from error


def _retry_after(headers: Mapping[str, str]) -> Optional[float]:
    """Seconds that the store asks to wait, bounded; None if it does not, or names a date."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(seconds, MAX_WAIT) if math.isfinite(seconds) and seconds >= 0 else None
