"""Writes a record as one line of JSON that never exceeds its size."""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any, Callable, Dict

_text: Callable[[str], str] = encode_basestring


class Fields(Dict[str, Any]):
    """Fields that come again in many records, such as where a frame is, with their JSON.

    Args:
        fields: which are not changed any more.
    """

    __slots__ = ("json",)

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.json = _encoder.encode(fields)


class Frame(Dict[str, Any]):
    """The fields of a `homeostasis.models.Frame`.

    Args:
        place: all of them but the locals: most frames of an event were in others.
        described: the locals.
    """

    __slots__ = ("place",)

    def __init__(self, place: Fields, described: dict[str, Any]) -> None:
        super().__init__(place)
        self["locals"] = described
        self.place = place


def encode(record: dict[str, Any], max_bytes: int) -> bytes:
    """One line, UTF-8, with its line end.

    An event that is too large loses the least useful first: locals of libraries, then the request's body, all locals
    but those of the crash frame, the frames far from the crash, and at last all locals; `losses` says what. Returns no
    bytes if even that is not enough.
    """
    line = _line(record)
    if len(line) <= max_bytes:
        return line
    if record.get("record") != "event":
        return b""
    record = json.loads(line)
    for loss, shrink in _STEPS:
        shrink(record)
        record["losses"] = [*record.get("losses", ()), loss]
        line = _line(record)
        if len(line) <= max_bytes:
            return line
    return b""


def _line(record: dict[str, Any]) -> bytes:
    text = _event(record) if record.get("record") == "event" else _encoder.encode(record)
    # Lone surrogates are legal in a str and in no UTF-8 text.
    return text.encode("utf-8", "replace") + b"\n"


def _event(event: dict[str, Any]) -> str:
    """As the encoder writes it, in half the time: what was encoded before is put in."""
    rest = {key: value for key, value in event.items() if key not in ("exceptions", "runtime")}
    exceptions = ",".join([_exception(one) for one in event["exceptions"]])
    return f'{_encoder.encode(rest)[:-1]},"runtime":{_fields(event.get("runtime"))},"exceptions":[{exceptions}]}}'


def _fields(value: Any) -> str:
    return value.json if type(value) is Fields else _encoder.encode(value)


def _exception(one: dict[str, Any]) -> str:
    rest = {key: value for key, value in one.items() if key != "frames"}
    known: dict[int, str] = {}
    frames = ",".join([_frame(frame, known) for frame in one["frames"]])
    return f'{_encoder.encode(rest)[:-1]},"frames":[{frames}]}}'


def _frame(frame: dict[str, Any], known: dict[int, str]) -> str:
    if type(frame) is not Frame:
        return _encoder.encode(frame)
    described = ",".join([f"{_text(name)}:{_value(value, known)}" for name, value in frame["locals"].items()])
    return f'{frame.place.json[:-1]},"locals":{{{described}}}}}'


def _value(value: dict[str, Any], known: dict[int, str]) -> str:
    """A described local, encoded once if several frames hold it."""
    text = known.get(id(value))
    if text is None:
        text = known[id(value)] = _written(value) if "literal" in value else _encoder.encode(value)
    return text


def _written(value: dict[str, Any]) -> str:
    """A value that was written out: nearly all that the locals of an app are."""
    parts = [
        f'{{"type":{_text(value["type"])},"module":{_text(value["module"])},"repr":{_text(value["repr"])},'
        f'"literal":{_BOOLEANS[value["literal"]]},"redacted":{_BOOLEANS[value["redacted"]]}'
    ]
    if "length" in value:
        parts.append(f'"length":{value["length"]}')
    if "keys" in value:
        parts.append(f'"keys":[{",".join(map(_text, value["keys"]))}]')
    if "attributes" in value:
        parts.append(f'"attributes":{_encoder.encode(value["attributes"])}')
    return ",".join(parts) + "}"


_BOOLEANS = {True: "true", False: "false"}


def _unknown(value: object) -> str:
    return f"<{type(value).__name__}>"


# No check for circles: a record is a tree, made by this package.
_encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_unknown)


def _library_locals(event: dict[str, Any]) -> None:
    for exception in event["exceptions"]:
        for frame in exception["frames"]:
            if not frame["in_app"]:
                frame["locals"] = {}


def _body(event: dict[str, Any]) -> None:
    if event.get("request"):
        event["request"].update(body="", body_truncated=True)


def _outer_locals(event: dict[str, Any]) -> None:
    for exception in event["exceptions"]:
        for frame in exception["frames"][:-1]:
            frame["locals"] = {}


def _outer_frames(event: dict[str, Any]) -> None:
    for exception in event["exceptions"]:
        exception["frames"] = exception["frames"][-8:]
    event["exceptions"] = [one for one in event["exceptions"][:4] if (one["parent"] or 0) < 4]


def _everything_else(event: dict[str, Any]) -> None:
    event["request"] = None
    for exception in event["exceptions"]:
        exception.update(message=exception["message"][:500], attributes={}, notes=[])
        for frame in exception["frames"]:
            frame["locals"] = {}


_STEPS: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("locals of libraries: the event was too large", _library_locals),
    ("the request's body: the event was too large", _body),
    ("locals of outer frames: the event was too large", _outer_locals),
    ("outer frames: the event was too large", _outer_frames),
    ("locals, attributes and request: the event was too large", _everything_else),
]
