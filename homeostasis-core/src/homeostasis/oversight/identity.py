"""Who decides: the user of the operating system, or the holder of a token that the project knows."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from homeostasis.config import PolicyTable

VARIABLE = "HOMEOSTASIS_TOKEN"


def identify(policy: PolicyTable) -> str:
    """Who runs this process: `token:NAME` if `HOMEOSTASIS_TOKEN` is set, else `user:NAME`.

    The user is the one that the process belongs to; variables such as USER say nothing.

    Raises:
        UsageError: the token is none of `[tool.homeostasis.policy] tokens`.
    """
    token = os.environ.get(VARIABLE)
    if not token:
        return f"user:{_user()}"
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    for name, known in policy.tokens.items():
        if hmac.compare_digest(digest, known):
            return f"token:{name}"
    raise UsageError(f"{VARIABLE} is none of the tokens in [tool.homeostasis.policy]: unset it, or use one of them")


def may_decide(policy: PolicyTable, actor: str) -> bool:
    """Whether somebody may approve and reject."""
    return not policy.approvers or any(fnmatch.fnmatchcase(actor, pattern) for pattern in policy.approvers)


def _user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
