"""OTLP over HTTP: three paths, protobuf or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from homeostasis_collect_http.endpoint import Answer, Call, Refused, Route, Taken, load_json, plain_refusal
from homeostasis_collect_otlp.messages import SIGNALS, Signal, Unreadable, to_json

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from homeostasis_collect_otlp.intake import Intake

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MAX_CONTAINERS = 200_000
"""Objects and lists of one JSON body: each takes microseconds to read."""
REFUSED = "the ids of some records are broken, or there were too many in one message"
"""Why a success was partial."""
_TOO_MANY = 429


def routes(intake: Intake) -> List[Route]:
    """The routes of all signals."""
    return [_route(signal, intake) for signal in SIGNALS]


def _route(signal: Signal, intake: Intake) -> Route:
    def handle(call: Call) -> Taken:
        media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if media == PROTOBUF:
                taken, rejected = intake.take(signal, lambda: signal.from_protobuf(call.body))
            elif media == JSON:
                taken, rejected = intake.take(signal, lambda: signal.from_json(_document(call.body)))
            else:
                raise Refused(415, f"send {PROTOBUF} or {JSON}")
        except Unreadable as error:
            raise Refused(400, str(error)) from error
        taken.answer = _answer(signal.answer(rejected, REFUSED), media)
        return taken

    return Route("POST", f"/v1/{signal.name}", handle, refusal=_refusal, heard=f"otlp/{signal.name}")


def _refusal(refused: Refused) -> Answer:
    """The refusal; one for now with 503, since many SDKs in use give up at 429."""
    if refused.status == _TOO_MANY:
        refused = Refused(503, refused.message, refused.headers)
    return plain_refusal(refused)


def _document(body: bytes) -> Any:
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise Refused(413, f"there are more than {MAX_CONTAINERS} objects and lists in the body: send it in parts")
    return load_json(body)


def _answer(message: Message, media: str) -> Answer:
    if media == JSON:
        return Answer(body=to_json(message), content_type=JSON)
    return Answer(body=message.SerializeToString(), content_type=PROTOBUF)
