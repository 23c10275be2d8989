"""What container runtimes, syslog and log shippers put around the lines of an app."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Tuple

from homeostasis_collect_logs.wording import moment_in, moment_of

MAX_DEPTH = 4
"""Envelopes within each other that are opened."""
_CRI = re.compile(r"^(\d{4}-\d\d-\d\dT\S{1,40}) (stdout|stderr) ([FP])(?: (.*))?$", re.DOTALL)
_SYSLOG_5424 = re.compile(
    r"^<\d{1,3}>1 (\S{1,64}) (\S{1,255}) (\S{1,128}) (\S{1,128}) \S{1,128} "
    r'(?:-|(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*")*\])+) ?\ufeff?(.*)$',
    re.DOTALL,
)
_SYSLOG_3164 = re.compile(
    r"^(?:<\d{1,3}>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,30}) (\S{1,255}) "
    r"([^\s:\[\]]{1,64})(?:\[(\d{1,10})\])?: ?(.*)$",
    re.DOTALL,
)
_SYSLOG_LOCAL = re.compile(
    r"^<\d{1,3}>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ([^\s:\[\]]{1,64})(?:\[(\d{1,10})\])?:(?: (.*)|$)", re.DOTALL
)
_SYSLOG_BARE = re.compile(r"^<\d{1,3}>(?:([^\s:\[\]]{1,64})\[(\d{1,10})\]: ?)?(.*)$", re.DOTALL)
_STREAM_KEYS = (
    "stream", "source", "container_id", "container_name", "pod", "pod_name", "container", "namespace", "host",
    "hostname", "tag", "filename", "thread", "threadName", "pid", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_PID",
    "_HOSTNAME", "_container_id", "_container_name", "_process_name", "_pid",
)  # fmt: skip
_TEXT_KEYS = ("log", "MESSAGE", "line", "textPayload", "message", "msg", "event", "body", "short_message")
TIME_KEYS = ("@timestamp", "timestamp", "time", "asctime", "ts", "datetime", "__REALTIME_TIMESTAMP", "date")


@dataclass(frozen=True)
class Line:
    """A line of an app, out of its envelopes.

    Attributes:
        text: without the line end.
        stream: what tells lines of one writer from those of another.
        moment: seconds since the epoch that the envelope tells, or None.
        partial: the line goes on in the next record of the stream.
        envelope: what it was taken out of, or an empty text.
    """

    text: str
    stream: Tuple[str, ...] = ()
    moment: Optional[float] = None
    partial: bool = False
    envelope: str = ""


def opened(line: Line) -> Optional[Line]:
    """The line without its outermost textual envelope, or None if it has none."""
    found = _CRI.match(line.text)
    if found:
        inner = Line(found[4] or "", (*line.stream, found[2]), moment_in(found[1]), found[3] == "P", "cri")
        return _inside(line, inner)
    found = _SYSLOG_5424.match(line.text)
    if found:
        stream = (found[2], found[3], found[4])
        return _inside(line, Line(_unescaped(found[5]), (*line.stream, *stream), moment_in(found[1]), False, "syslog"))
    found = _SYSLOG_LOCAL.match(line.text)
    if found:  # as `/dev/log` gets it, without a host
        stream = ("", found[2], found[3] or "")
        inner = Line(_unescaped(found[4] or ""), (*line.stream, *stream), envelope="syslog")
        return _inside(line, inner)
    found = _SYSLOG_3164.match(line.text)
    if found:
        stream = (found[2], found[3], found[4] or "")
        return _inside(line, Line(_unescaped(found[5]), (*line.stream, *stream), moment_in(found[1]), False, "syslog"))
    found = _SYSLOG_BARE.match(line.text)
    if found:  # as Python's SysLogHandler sends it
        writer = (found[1], found[2]) if found[1] else ()
        return _inside(line, Line(_unescaped(found[3]), (*line.stream, *writer), envelope="syslog"))
    return None


def opened_record(line: Line, record: Mapping[str, Any]) -> Optional[Line]:
    """The line of text that a JSON record carries, or None if it carries none."""
    for key in _TEXT_KEYS:
        value = record.get(key)
        text = value if isinstance(value, str) else _bytes_of(value)
        if text is not None:
            break
    else:
        return None
    partial = key == "log" and _goes_on(record, text)
    moment = next((found for found in (moment_of(record.get(name)) for name in TIME_KEYS) if found), None)
    return _inside(line, Line(text.rstrip("\r\n"), (*line.stream, *_stream(record)), moment, partial, "json"))


def _goes_on(record: Mapping[str, Any], text: str) -> bool:
    """Whether a container runtime has split a line after `text`.

    Docker's records end with a line end unless they go on; Fluent Bit's records of CRI lines never do: they have the
    runtime's mark in `logtag`, or in `_p` if its multiline parser has put the parts together already.
    """
    if "logtag" in record or "_p" in record:
        return bool(record.get("logtag") == "P")
    return "stream" in record and not text.endswith("\n")


def _inside(outer: Line, inner: Line) -> Line:
    return inner if inner.moment is not None else replace(inner, moment=outer.moment)


def _stream(record: Mapping[str, Any]) -> Tuple[str, ...]:
    found = [f"{key}={str(record[key])[:200]}" for key in _STREAM_KEYS if isinstance(record.get(key), (str, int))]
    for nested in ("kubernetes", "labels"):
        inner = record.get(nested)
        if isinstance(inner, dict):
            found += [f"{key}={str(inner[key])[:200]}" for key in _STREAM_KEYS if isinstance(inner.get(key), str)]
    return tuple(found)


def _bytes_of(value: Any) -> Optional[str]:
    """Journald writes a message with control characters, such as line ends, as a list of bytes."""
    if not isinstance(value, list) or not value:
        return None
    try:
        return bytes(value).decode("utf-8", "replace")
    except (TypeError, ValueError):
        return None


def _unescaped(text: str) -> str:
    """Rsyslog writes control characters as # and three octal digits."""
    return text.replace("#012", "\n").replace("#011", "\t") if "#01" in text else text
