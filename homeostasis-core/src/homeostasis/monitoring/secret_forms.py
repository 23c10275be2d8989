"""Secrets that are known by what they look like: tokens of well-known services, JWT, private keys, card numbers."""

from __future__ import annotations

import re
from typing import Callable, Iterable, Match, Pattern

REDACTED = "[redacted]"


class Hints:
    """Parts of which one must be in a text, or there is nothing to search for, which is so for most texts."""

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts = sorted(set(parts))
        self._pattern = re.compile("|".join(map(re.escape, self._parts)))

    def found_in(self, text: str) -> bool:
        """Whether one of the parts is in the text."""
        if len(text) < 60:  # one search for all is quicker on short texts, `in` on long ones
            return self._pattern.search(text) is not None
        return any(part in text for part in self._parts)


def _looks_encoded(token: str) -> bool:
    return any(c.isdigit() for c in token) or "=" in token or (not token.islower() and not token[:1].isupper())


def _scheme(match: Match[str]) -> str:
    return f"{match.group(1)} {REDACTED}" if _looks_encoded(match.group(2)) else match.group(0)


def _luhn(digits: str) -> bool:
    total = 0
    for index, char in enumerate(reversed(digits)):
        number = int(char)
        if index % 2:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0


_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}$|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}$"
    r"|3[47]\d{13}$|3(?:0[0-5]|[68]\d)\d{11}$|6(?:011|5\d{2}|4[4-9]\d)\d{12}$|35\d{14}$"
)
"""Issuer prefixes and lengths (ISO/IEC 7812) of the large card networks."""


def _card(match: Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group(0))
    return REDACTED if _ISSUERS.match(digits) and _luhn(digits) else match.group(0)


_Replacement = Callable[[Match[str]], str]


def _constant(text: str) -> _Replacement:
    return lambda _match: text


# (characters without which the detector cannot match, pattern, replacement)
DETECTORS: list[tuple[tuple[str, ...], Pattern[str], _Replacement]] = [
    (
        ("-----BEGIN",),
        re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END[A-Z0-9 ]*-----|\Z)", re.DOTALL),
        _constant(REDACTED),
    ),
    (("eyJ",), re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), _constant(REDACTED)),
    (
        ("AKIA", "ASIA", "AROA", "AIDA", "AGPA"),
        re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA|AGPA)[A-Z0-9]{16}(?![A-Z0-9])"),
        _constant(REDACTED),
    ),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "glsa_", "dckr_pat_", "npm_", "pypi-"),
        re.compile(
            r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{18,}|glsa_\w{32,}|dckr_pat_[\w-]{20,}"
            r"|npm_[A-Za-z0-9]{36}|pypi-[\w-]{16,}"
        ),
        _constant(REDACTED),
    ),
    (
        ("xox", "xapp-", "sk_", "rk_", "sk-", "AIza", "SG.", "whsec_", "ya29.", "GOCSPX-"),
        re.compile(
            r"xox[abeoprs]-[\w-]{10,}|xapp-\d-[\w-]{20,}|[rs]k_(?:live|test)_\w{10,}|sk-[\w-]{20,}|AIza[\w-]{35}"
            r"|SG\.[\w-]{16,}\.[\w-]{16,}|whsec_[\w+/=]{20,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"
        ),
        _constant(REDACTED),
    ),
    (
        ("shp", "do", "hf_", "hvs.", "lin_api_", "PMAK-", "rubygems_", "sq0", "NRAK-", "AGE-", "EAA"),
        re.compile(
            r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|do[opr]_v1_[0-9a-f]{64}|hf_[A-Za-z]{30,}|hvs\.[\w-]{24,}"
            r"|lin_api_[A-Za-z0-9]{32,}|PMAK-[0-9a-f]{24}-[0-9a-f]{34}|rubygems_[0-9a-f]{48}|sq0[a-z]{3}-[\w-]{22,}"
            r"|NRAK-[A-Z0-9]{27}|AGE-SECRET-KEY-1[0-9A-Z]{20,}|EAA[A-Za-z0-9]{40,}"
        ),
        _constant(REDACTED),
    ),
    (
        ("dapi", "key-", "SK", ":AA"),
        re.compile(r"\b(?:dapi|key-|SK)[0-9a-f]{32}\b|\b\d{8,10}:AA[\w-]{33}(?![\w-])"),
        _constant(REDACTED),
    ),
    (
        ("earer", "asic", "EARER", "ASIC"),
        re.compile(r"\b(bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE),
        _scheme,
    ),
    (("://",), re.compile(r"://[^/\s:@'\"]*:[^/\s@'\"]+@"), _constant(f"://{REDACTED}@")),
    (
        ("hooks.slack.com/", "/api/webhooks/"),
        re.compile(r"(hooks\.slack\.com/\w+/|/api/webhooks/)[\w/-]{8,}"),
        lambda match: match.group(1) + REDACTED,
    ),
    ((), re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])"), _card),
]
_HINTS = Hints(part for needed, _, _ in DETECTORS for part in needed)
_DIGITS = re.compile(r"\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d")


def without_known_forms(text: str) -> str:
    """The text without secrets that are known by their form."""
    if not _HINTS.found_in(text) and _DIGITS.search(text) is None:
        return text
    for needed, pattern, replacement in DETECTORS:
        if not needed or any(part in text for part in needed):
            text = pattern.sub(replacement, text)
    return text
