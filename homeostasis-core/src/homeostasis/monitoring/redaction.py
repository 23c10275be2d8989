"""Secrets are taken out where they are captured, by the name of what holds them and by what they look like.

`Redactor` answers for names and for text; `homeostasis.monitoring.bodies` uses it on requests.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterable, Match, Pattern

from homeostasis.monitoring.secret_forms import REDACTED, Hints, without_known_forms
from homeostasis.monitoring.secret_names import contains_root, joined, means_secret

__all__ = ["REDACTED", "Redactor"]

MAX_SCANNED = 65536
"""Characters of one text that are searched for secrets; callers bound their texts well below."""

# A name and what assigns to it: `password=`, `"api_key": `, `token => `, and `=` as it is written in a query.
_NAMED = re.compile(r"""(?<![\w.-])([\w.-]{2,80})\\?["']?\s{0,8}(?:=>|=(?!=)|:=|:|%3[Dd])\s{0,8}""")
_ANNOTATED = re.compile(r"(?<![\w.-])([\w.-]{2,80})\s{0,8}:\s{0,8}[\w.\[\]|, ]{1,40}?\s{0,8}=(?!=)\s{0,8}")
_VALUE = re.compile(
    r"""(?P<prefix>[bBrRuU]{0,2})(?P<quote>\\?["'])(?P<quoted>(?:(?!(?P=quote))(?:\\.|[^\\\n]))*)(?P=quote)"""
    r"""|(?P<list>\[\s{0,8}\\?["'][^\[\]]*\]?)"""
    r"""|(?P<bare>[^\s"'&,;)}\]>\\(]+(?:\([^()\n]*\))?|\()"""
)
_LITERAL = re.compile(
    r"""(?P<prefix>[bBrRuU]{0,2})(?P<quote>["'])(?P<quoted>(?:(?!(?P=quote))(?:\\.|[^\\\n]))+)(?P=quote)(?!\s{0,8}\])"""
)
# What follows `Password:` in a sentence about passwords.
_SENTENCE = frozenset(
    ("must", "should", "may", "can", "cannot", "is", "was", "has", "not", "no", "too", "required", "missing", "invalid")
)
# Names that are spoken of with their value: `the password is x`, `invalid token: x`, `--api-key x`, `PASSWORD 'x'`.
_SPOKEN = re.compile(
    r"""(?ix) (?<![\w.]) (?P<name> -- [\w-]{2,60} | passw(?:or)?d | passphrase | passcode | pwd | secret | token | jwt
        | pin | otp | cvv | (?:api|access|secret|private|auth)[ _-]?key | session (?:[ ]id)? )
    (?P<between> \s{0,8} (?: : \s{0,8} | \s (?: is | was | of ) \s{1,8} | \s ) )
    (?: (?P<quote> ["'] ) (?P<quoted> [^"'\n]+ ) (?P=quote) | (?P<bare> [^\s"'&,;()}\]>-] [^\s"'&,;()}\]>]* ) )"""
)
_ENCODED = re.compile(r"[^\s&=?;\"']*[%+][^\s&=?;\"']*")
_STRONG = re.compile(r"(?i)passw(?:or)?d|passphrase|passcode|pwd")
_NUMBERS = ("pin", "otp", "cvv")
_HINTS = ("pass", "pwd", "secret", "token", "jwt", "pin", "otp", "cvv", "key", "session", "--")


# Texts that carry a name and its value in ways of their own: (needed, pattern); the group `value` is the secret.
_CARRIERS: list[tuple[tuple[str, ...], Pattern[str]]] = [
    (
        ("uthorization", "UTHORIZATION"),
        re.compile(
            r"(?i)(?P<name>authorization)[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:(?:basic|bearer|token|apikey|negotiate)\s{1,8})?(?P<value>[^\s\"',;\[{(<][^\s\"',;]*)"
        ),
    ),
    (("ookie:", "OOKIE:"), re.compile(r"(?i)(?P<name>cookie):\s{0,8}(?P<value>[^\r\n\"']+)")),
    (("</",), re.compile(r"<(?P<name>[\w.:-]{2,60})[^<>]{0,100}>(?P<value>[^<>]+)</")),
    (
        ("value=",),
        re.compile(r"""(?i)\b(?:key|name|id)=["'](?P<name>[\w.-]{2,60})["']\s{1,8}value=["'](?P<value>[^"']+)"""),
    ),
    (
        ("',", '",'),
        re.compile(
            r"""[(\[]\s{0,8}b?(?P<quote>["'])(?P<name>[\w.-]{2,60})(?P=quote),\s{0,8}b?(?P<second>["'])(?P<value>[^"']+)(?P=second)\s{0,8}[)\]]"""
        ),
    ),
    (("-u ", "--user "), re.compile(r"(?<![\w-])(?:-u|--user)\s{1,8}[^\s:]+:(?P<value>\S+)")),
    ((" BY ", " by "), re.compile(r"(?i)\bidentified\s{1,8}by\s{1,8}(?:password\s{1,8})?['\"](?P<value>[^'\"]+)")),
]


MAX_CLEAN, MAX_REMEMBERED = 2048, 200
"""Texts without secrets that are remembered, and their longest in characters."""


MAX_NAMES, MAX_NAME = 4096, 200
"""Names that are remembered, and how much of one is looked at, in characters; longer ones are not remembered."""
_CARRIER_HINTS = Hints(part for needed, _ in _CARRIERS for part in needed)


class _Secrets(Dict[str, bool]):
    """Whether a name is that of a secret, by the names that were asked for: a look-up is all that most cost."""

    def __init__(self, own: frozenset[str]) -> None:
        super().__init__()
        self._own = own

    def __missing__(self, name: str) -> bool:
        known = joined(name[:MAX_NAME]) in self._own or means_secret(name[:MAX_NAME])
        if len(self) < MAX_NAMES and len(name) <= MAX_NAME:  # others may be as long as a request
            self[name] = known
        return known


class Redactor:
    """Takes secrets out of names and texts.

    Args:
        names: further names whose values are secrets, matched without case and separators.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.is_secret: Callable[[str], bool] = _Secrets(frozenset(filter(None, map(joined, names)))).__getitem__
        """Whether a variable, key, header or field of this name holds a secret."""
        self.clean: set[str] = set()
        """Texts that `text` has found to hold no secret."""
        self._clean_lines: set[str] = set()

    def text(self, text: str) -> str:
        """The text without secrets: known forms, and values that belong to secret names (`password=...`)."""
        return self._unless_clean(text, self.clean, self._text)

    def _text(self, text: str) -> str:
        text = self._carried(text[:MAX_SCANNED])
        if "=" in text or ":" in text or "%3" in text:
            text = self._assigned(text, _NAMED, _VALUE)
        low = text.lower()
        if any(hint in low for hint in _HINTS):
            text = _SPOKEN.sub(self._spoken, text)
        text = self.values(text)
        return _ENCODED.sub(self._encoded, text) if "=" in text and ("%" in text or "+" in text) else text

    def source(self, line: str) -> str:
        """A line of source code without secrets: only literals are replaced, the code stays what it is."""
        return self._unless_clean(line, self._clean_lines, self._source)

    @staticmethod
    def _unless_clean(text: str, known: set[str], search: Callable[[str], str]) -> str:
        """Search a text, unless that was done before: keys, headers and lines of code come back with every crash."""
        if text in known:
            return text
        found = search(text)
        if found == text and len(text) <= MAX_REMEMBERED:
            if len(known) >= MAX_CLEAN:
                known.clear()
            known.add(text)
        return found

    def _source(self, line: str) -> str:
        line = line[:MAX_SCANNED]
        if ("=" in line or ":" in line) and ("'" in line or '"' in line):
            line = self._assigned(line, _NAMED, _LITERAL)
            if "=" in line and ":" in line:
                line = self._assigned(line, _ANNOTATED, _LITERAL)
        return self.values(line)

    def values(self, text: str) -> str:
        """The text without secrets that are known by their form."""
        return without_known_forms(text)

    def _encoded(self, match: Match[str]) -> str:
        """A value of a query that hides a known form by its encoding."""
        from urllib.parse import unquote_plus

        plain = unquote_plus(match.group(0))
        return match.group(0) if self.values(plain) == plain else REDACTED

    def _carried(self, text: str) -> str:
        if not _CARRIER_HINTS.found_in(text):
            return text
        for needed, pattern in _CARRIERS:
            if any(part in text for part in needed):
                text = pattern.sub(self._carrier, text)
        return text

    def _carrier(self, match: Match[str]) -> str:
        name = match.groupdict().get("name")
        if (name is not None and not self.is_secret(name)) or match.group("value").startswith(REDACTED):
            return match.group(0)
        start, end = match.start("value") - match.start(), match.end("value") - match.start()
        return match.group(0)[:start] + REDACTED + match.group(0)[end:]

    def _assigned(self, text: str, names: Pattern[str], values: Pattern[str]) -> str:
        """Replace what is assigned to secret names; other values are searched for names in their turn."""
        parts: list[str] = []
        done = 0
        for match in names.finditer(text):
            if match.start() < done or not self.is_secret(match.group(1)):
                continue
            value = values.match(text, match.end())
            if value is not None and _gives_away(match, value):
                parts += text[done : match.end()], _hidden(value)
                done = value.end()
        return "".join([*parts, text[done:]]) if parts else text

    def _spoken(self, match: Match[str]) -> str:
        name, quoted = match.group("name"), match.group("quoted")
        value = quoted or match.group("bare")
        option = name.startswith("--")
        if value.startswith(REDACTED) or (option and not self.is_secret(name)):
            return match.group(0)
        telling = _is_token(value) or (name.lower() in _NUMBERS and value.isdigit() and 3 <= len(value) <= 8)
        if not (option or telling or (quoted and _STRONG.match(name))):
            return match.group(0)
        quote = match.group("quote") or ""
        return f"{name}{match.group('between')}{quote}{REDACTED}{quote}"


def _gives_away(name: Match[str], value: Match[str]) -> bool:
    """Whether a secret name is really given a value, instead of being talked about."""
    if value.groupdict().get("list") is not None:
        return True
    if value.groupdict().get("bare") is None:
        return bool(value.group("quoted")) and not value.group("quoted").startswith(REDACTED)
    bare: str = value.group("bare")
    if bare in ("None", "True", "False", "null", "true", "false") or bare.startswith(REDACTED) or bare[0] in "[{(<":
        return False
    operator = name.group(0)[len(name.group(1)) :]
    if "=" in operator or "%" in operator:
        return True
    word = bare.split(None, 1)[0]
    if not contains_root(name.group(1)):
        return _is_token(word)  # `token:` is more often a parser's complaint
    return word.lower() not in _SENTENCE


def _hidden(value: Match[str]) -> str:
    if value.groupdict().get("bare") is not None:
        return REDACTED
    if value.groupdict().get("list") is not None:
        return f'["{REDACTED}"]'
    quote: str = value.group("quote")
    return f"{value.group('prefix')}{quote}{REDACTED}{quote}"


def _is_token(text: str) -> bool:
    """Whether a word is no word of a language: letters and digits, six at least."""
    return len(text) >= 6 and any(map(str.isdigit, text)) and any(map(str.isalpha, text))
