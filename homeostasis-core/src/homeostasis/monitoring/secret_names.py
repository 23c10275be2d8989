"""Names whose values are secrets, such as `password`, `X-Api-Key` and `user_token`, and names that only look so."""

from __future__ import annotations

import re

# Roots that mean a secret wherever they stand in a name, written together: `dbPassword`, `X-Api-Key`, `accesstoken2`.
_ROOTS = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "signingkey",
    "encryptionkey",
    "authorization",
    "credential",
    "accesstoken",
    "authtoken",
    "refreshtoken",
    "idtoken",
    "csrftoken",
    "xsrftoken",
    "sessionid",
    "sessid",
    "sessiontoken",
    "bearertoken",
    "creditcard",
    "cardnumber",
    "cardno",
    "clientsecret",
    "connectionstring",
    "passcode",
    "masterkey",
    "accountkey",
    "storagekey",
    "licensekey",
    "subscriptionkey",
    "securitycode",
    "socialsecurity",
    "mnemonic",
    "seedphrase",
    "privatepem",
    "clientassertion",
    "codeverifier",
]
# Words that mean a secret when they are a whole word of the name: `token`, `user_pwd`, `card.cvv`.
_WORDS = frozenset(
    [
        "pwd",
        "pass",
        "token",
        "tokens",
        "jwt",
        "bearer",
        "auth",
        "cookie",
        "cookies",
        "session",
        "csrf",
        "xsrf",
        "cvv",
        "cvc",
        "ccv",
        "ssn",
        "pin",
        "otp",
        "totp",
        "credentials",
        "sid",
        "dsn",
        "iban",
        "sig",
        "signature",
        "taxid",
    ]
)
# Tokens that are counted are those of a text.
_MEASURES = frozenset(["max", "min", "total", "num", "prompt", "completion", "input", "output", "used"])
# Neighbouring words that mean a secret together.
_PAIRS = frozenset([("tax", "id"), ("seed", "words")])
# A name that ends like this tells something about a secret, not the secret: `token_type`, `password_min_length`.
_ABOUT = frozenset(
    [
        "count",
        "counts",
        "limit",
        "type",
        "types",
        "max",
        "min",
        "length",
        "len",
        "size",
        "url",
        "uri",
        "endpoint",
        "expires",
        "expiry",
        "expiration",
        "ttl",
        "policy",
        "field",
        "form",
        "required",
        "enabled",
        "valid",
        "name",
        "names",
        "label",
        "class",
        "factory",
        "maker",
        "manager",
        "store",
        "backend",
        "timeout",
        "age",
        "attempts",
    ]
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def means_secret(name: str) -> bool:
    """Whether a variable, key, header or field of this name holds a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    if words[-1] == "tokens" and _MEASURES.issuperset(words[:-1]):
        return False
    if joined(name).endswith("token") or contains_root(name) or not _WORDS.isdisjoint(words):
        return True
    return not _PAIRS.isdisjoint(zip(words, words[1:]))


def contains_root(name: str) -> bool:
    """Whether the name means a secret wherever it stands, as `password` does and `token` does not."""
    found = joined(name).replace("secretar", "")  # an office, and who works in it
    return any(root in found for root in _ROOTS)


def joined(name: str) -> str:
    """The letters and digits of a name, without case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
