"""FastAPI apps that trust what the client sends, and answers that FastAPI cannot send, healed end to end."""

from __future__ import annotations

import gc
from typing import Any, Callable, Dict, NamedTuple

import pytest

from homeostasis.models import Effect, Request

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi httpx")
HEAD = (
    "from typing import Optional\n\nfrom fastapi import Depends, FastAPI, HTTPException, Request\n"
    "from pydantic import BaseModel\n\napp = FastAPI()\n\n\n"
)


class Case(NamedTuple):
    """A handler, a request that crashes it and its answer, and a healthy request with its answer."""

    handler: str
    crash: Dict[str, Any]
    refused: str
    healthy: Dict[str, Any]
    answer: str
    rule: str


CASES = {
    "header": Case(
        "@app.get('/x')\nasync def x(request: Request):\n    return request.headers['x-tenant']\n",
        {}, "422", {"headers": {"X-Tenant": "a"}}, '200 "a"', "key-error-header",
    ),
    "credentials-of-a-dependency": Case(
        "def user(request: Request):\n    return request.headers['authorization'].split()[1]\n\n\n"
        "@app.get('/x')\ndef x(name: str = Depends(user)):\n    return name\n",
        {}, "401", {"headers": {"Authorization": "Bearer ada"}}, '200 "ada"', "key-error-header",
    ),
    "cookie": Case(
        "@app.get('/x')\ndef x(request: Request):\n    return request.cookies['cart']\n",
        {}, "422", {"headers": {"Cookie": "cart=7"}}, '200 "7"', "key-error-cookie",
    ),
    "query": Case(
        "@app.get('/x')\ndef x(request: Request):\n    if request.query_params['q'] == 'a':\n        return 1\n    return 2\n",
        {}, "422", {"params": {"q": "a"}}, "200 1", "key-error-query-parameter",
    ),
    "malformed-body": Case(
        "@app.post('/x')\nasync def x(request: Request):\n    return {'id': (await request.json())['id']}\n",
        {"method": "POST", "content": "{no"}, "422", {"method": "POST", "json": {"id": 3}}, '200 {"id":3}', "body-malformed",
    ),
    "list-body": Case(
        "@app.post('/x')\nasync def x(request: Request):\n    data = await request.json()\n    return data.get('a')\n",
        {"method": "POST", "json": [1]}, "422", {"method": "POST", "json": {"a": 5}}, "200 5", "body-shape",
    ),
    "model": Case(
        "class Item(BaseModel):\n    name: str\n\n\n@app.post('/x')\nasync def x(request: Request):\n"
        "    item = Item(**await request.json())\n    return item.name\n",
        {"method": "POST", "json": {"n": 1}}, "422", {"method": "POST", "json": {"name": "a"}}, '200 "a"', "validation-model",
    ),
    "search-without-result": Case(
        "ROWS = [{'id': 1}]\n\n\n@app.get('/x')\nasync def x(row_id: int):\n    return next(r for r in ROWS if r['id'] == row_id)\n",
        {"params": {"row_id": 2}}, "422", {"params": {"row_id": 1}}, '200 {"id":1}', "client-item-not-found",
    ),
    "range-step": Case(
        "@app.get('/x')\ndef x(step: int):\n    return list(range(0, 4, step))\n",
        {"params": {"step": 0}}, "422", {"params": {"step": 2}}, "200 [0,2]", "query-out-of-range",
    ),
    "page-size": Case(
        "@app.get('/x')\ndef x(page_size: int = 2):\n    return 10 // page_size\n",
        {"params": {"page_size": 0}}, "422", {}, "200 5", "query-page-size",
    ),
    "response-none": Case(
        "class Item(BaseModel):\n    name: str\n\n\nITEMS = {'1': {'name': 'a'}}\n\n\n"
        "@app.get('/x', response_model=Item)\ndef x(item_id: str):\n    return ITEMS.get(item_id)\n",
        {"params": {"item_id": "2"}}, "404", {"params": {"item_id": "1"}}, '200 {"name":"a"}', "fastapi-response-none",
    ),
}  # fmt: skip


def call(arguments: Dict[str, Any], *, answer: bool) -> str:
    """Code that sends a request to the app, and prints what came back if `answer`."""
    given = {"method": "GET", "url": "/x", **arguments}
    return (
        "import asyncio\nimport httpx\nfrom app import app\n"
        "async def send():\n"
        f"    transport = httpx.ASGITransport(app=app, raise_app_exceptions={not answer})\n"
        "    async with httpx.AsyncClient(transport=transport, base_url='http://localhost') as client:\n"
        f"        return await client.request(**{given!r})\n"
        "sent = asyncio.run(send())\n" + ("print(sent.status_code, sent.text)\n" if answer else "")
    )


def sent(method: str = "GET") -> Request:
    """The request as the monitoring records it."""
    return Request(method=method, path="/x", route="/x", framework="fastapi", interface="asgi")


@pytest.mark.parametrize("name", list(CASES))
def test_the_request_is_refused_and_others_are_answered(heal: Any, name: str) -> None:
    """The best patch refuses with the status that fits; a healthy request gets the answer that it got before."""
    case = CASES[name]
    request = sent(case.crash.get("method", "GET"))
    done = heal({"app.py": HEAD + case.handler}, call(case.crash, answer=False), request)
    assert done.best.rule_id == case.rule
    assert done.best.effect is Effect.REFUSE
    assert done.after(call(case.crash, answer=True)).split()[0] == case.refused
    assert done.after(call(case.healthy, answer=True)) == case.answer


FETCH = "async def fetch():\n    return {'a': 1}\n\n\n"
ANSWERS = {
    "coroutine-answered": (FETCH + "@app.get('/x')\nasync def x():\n    return fetch()\n", "response-missing-await", '200 {"a":1}'),
    "coroutine-in-sync-handler": (FETCH + "@app.get('/x')\ndef x():\n    return {'b': fetch()}\n", "response-missing-await", '200 {"b":{"a":1}}'),
    "coroutine-subscripted": (FETCH + "@app.get('/x')\nasync def x():\n    row = fetch()\n    return row['a']\n", "response-missing-await", "200 1"),
    "request-not-awaited": ("@app.get('/x')\nasync def x(request: Request):\n    raw = request.body()\n    return raw.decode()\n", "request-missing-await", '200 ""'),
    "needless-await": ("def fetch():\n    return {'a': 1}\n\n\n@app.get('/x')\nasync def x():\n    return (await fetch())['a']\n", "request-needless-await", "200 1"),
    "optional-response": (
        "class Item(BaseModel):\n    name: str\n    note: Optional[str]\n\n\n"
        "@app.get('/x', response_model=Item)\ndef x():\n    return {'name': 'a'}\n", "pydantic-optional-default", '200 {"name":"a","note":null}'),
    "number-for-text": (
        "class Item(BaseModel):\n    name: str\n\n\n@app.get('/x', response_model=Item)\ndef x():\n    return {'name': 5}\n",
        "pydantic-number-as-text", '200 {"name":"5"}'),
    "enum": (
        "from enum import Enum\n\nfrom fastapi.responses import JSONResponse\n\n\nclass Size(Enum):\n    S = 's'\n\n\n"
        "@app.get('/x')\ndef x():\n    return JSONResponse({'size': Size.S})\n", "response-enum", '200 {"size":"s"}'),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("name", list(ANSWERS))
def test_an_answer_that_fastapi_cannot_send(heal: Any, name: str) -> None:
    """The handler is found, although it has returned, and answers as was meant."""
    handler, rule, expected = ANSWERS[name]
    done = heal({"app.py": HEAD + handler}, call({}, answer=False), sent())
    gc.collect()  # the warning of a coroutine that nobody awaited comes here, and not in another test
    assert done.best.rule_id == rule
    assert done.best.effect is Effect.CORRECT
    assert done.after(call({}, answer=True)) == expected


def test_a_return_annotation_that_is_no_model(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """The app starts again and answers."""
    handler = "class Session(dict):\n    pass\n\n\nclass Other:\n    pass\n\n\n@app.get('/x')\ndef x() -> Other:\n    return {}\n"
    done = heal({"app.py": HEAD + handler}, "import app")
    assert done.best.rule_id == "fastapi-return-annotation"
    assert done.after(fastapi_call("GET", "/x", answer=True)) == "200 {}"
