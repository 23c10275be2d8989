"""What the reports of all trackers have alike: frames, chains, variables and bodies, whatever their fields hold."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple
from urllib.parse import urlencode

from homeostasis.collecting.crash import relate
from homeostasis.collecting.fields import number, table, text
from homeostasis.collecting.values import MAX_LOCALS, Described, from_json, from_repr, locals_of
from homeostasis.traceback_text import MAX_EXCEPTIONS, MAX_FRAMES, MAX_MESSAGE, TextException, TextFrame

if TYPE_CHECKING:
    from homeostasis.monitoring.redaction import Redactor

MAX_PATH, MAX_NAME, MAX_SOURCE = 4_096, 1_000, 4_096
_OBJECT = re.compile(r"<class '(?P<module>[A-Za-z_][\w.]{0,200})\.(?P<type>[A-Za-z_]\w{0,100})'>")
_REPR = re.compile(r"<[^<>]{1,300} at 0x[0-9a-fA-F]{1,16}>")
_FILTERED = re.compile(r"\*{5,}|\[(?:FILTERED|Filtered|REDACTED)\]")


def frame(path: Any, line: Any, function: Any, source: Any) -> Optional[TextFrame]:
    """A frame; None if it has no file, line or function."""
    at = number(line)
    if not isinstance(path, str) or at is None or not text(function):
        return None
    shown = [text(source, MAX_SOURCE).strip()] if text(source).strip() else []
    return TextFrame(path[:MAX_PATH], int(min(max(at, 0), 10**9)), text(function, MAX_NAME), shown)


def frames(found: Iterator[Optional[TextFrame]]) -> List[TextFrame]:
    """The innermost frames, of those that could be read; `found` has the oldest first."""
    return [each for each in found if each is not None][-MAX_FRAMES:]


def message_of(value: Any, kind: str) -> str:
    """The message, without the name of the class that some put before it."""
    return text(value, MAX_MESSAGE + len(kind) + 2)[len(f"{kind}: ") :] if text(value, MAX_MESSAGE).startswith(
        f"{kind}: "
    ) else text(value, MAX_MESSAGE)  # fmt: skip


def chain(outer_first: List[TextException]) -> List[TextException]:
    """The exceptions in the order of a traceback: the oldest cause first."""
    found = [each for each in outer_first[:MAX_EXCEPTIONS] if each.name][::-1]
    relate(found)
    return found


def values(found: Any, redactor: Redactor) -> Dict[str, Described]:
    """Local variables that were sent as JSON, objects of the app as texts about them."""
    named = list(table(found).items())[: 2 * MAX_LOCALS]
    return locals_of({name: _value(name, value, redactor) for name, value in named})


def _value(name: str, value: Any, redactor: Redactor) -> Described:
    if isinstance(value, str):
        of_class = _OBJECT.fullmatch(value)
        if of_class:
            return {"type": of_class["type"], "module": of_class["module"]}
        if _FILTERED.fullmatch(value):
            return {"type": "object", "redacted": True}
        if _REPR.fullmatch(value):
            return from_repr(name, value, redactor)
    return from_json(name, value, redactor)


def headers_of(found: Any) -> List[Tuple[object, object]]:
    """Names and values of an object; of several values the first."""
    pairs = table(found).items()
    return [(name, value[0] if isinstance(value, list) and value else value) for name, value in pairs]


def body_of(data: Any, media: str) -> bytes:
    """The body that a parsed one was: a form or JSON, as the media type says; a text as it is."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace")
    if data is None or data in ({}, []):
        return b""
    try:
        if isinstance(data, dict) and "form" in media:
            return urlencode(data, doseq=True).encode()
        return json.dumps(data).encode()
    except RecursionError:  # nested nearly as deep as is read at all
        return b""


def media_of(headers: List[Tuple[object, object]]) -> str:
    """The content type, in lower case; empty if there is none."""
    found = (str(value) for name, value in headers if str(name).lower() == "content-type")
    return next(found, "").lower()
