"""Crashes of FastAPI apps, from the request to the answer of the patched app."""

from __future__ import annotations

from typing import Any, Callable

HEAD = "from fastapi import Body, Depends, FastAPI, Request\n\napp = FastAPI()\n\n\n"


def test_a_missing_field_of_a_dict_body_is_refused(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """A dict body without a field is answered as FastAPI answers a body that does not fit; the import is added."""
    app = HEAD + "@app.post('/o')\ndef create(order: dict):\n    return {'total': order['price'] * 2}\n"
    done = heal({"app.py": app}, fastapi_call("POST", "/o", {"n": 1}))
    assert done.best.imports == ("fastapi",)
    assert done.after(fastapi_call("POST", "/o", {"n": 1}, answer=True)) == '422 {"detail":"price is required"}'
    assert done.after(fastapi_call("POST", "/o", {"price": 2}, answer=True)) == '200 {"total":4}'


def test_a_body_that_is_awaited_is_refused(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """`await request.json()` is what the client sent."""
    app = HEAD + (
        "@app.post('/o')\nasync def create(request: Request):\n    data = await request.json()\n"
        "    return {'first': data['items'][0]}\n"
    )
    done = heal({"app.py": app}, fastapi_call("POST", "/o", {"items": []}))
    assert done.after(fastapi_call("POST", "/o", {"items": []}, answer=True)).startswith("422")
    assert done.after(fastapi_call("POST", "/o", {"items": [7]}, answer=True)) == '200 {"first":7}'


def test_an_unknown_id_several_calls_away_is_not_found(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """The handler turns the failing lookup of a module without FastAPI into a 404."""
    files = {
        "app.py": HEAD
        + "import service\n\n\n@app.get('/o/{order_id}')\nasync def show(order_id: int):\n"
        + "    return service.show(order_id)\n",
        "service.py": "import store\n\n\ndef show(order_id):\n    return {'order': store.load(order_id)}\n",
        "store.py": "ORDERS = {1: 'tea'}\n\n\ndef load(key):\n    return ORDERS[key]\n",
    }
    done = heal(files, fastapi_call("GET", "/o/2"))
    assert [edit.path for edit in done.best.edits] == ["app.py"]
    assert done.after(fastapi_call("GET", "/o/2", answer=True)).startswith("404")
    assert done.after(fastapi_call("GET", "/o/1", answer=True)) == '200 {"order":"tea"}'


def test_a_dependency_is_not_the_client(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """What `Depends` provides is the app's own: no 4xx is proposed for it."""
    app = HEAD + (
        "def settings():\n    return {'a': 1}\n\n\n"
        "@app.get('/s')\ndef show(config: dict = Depends(settings)):\n    return {'limit': config['limit']}\n"
    )
    done = heal({"app.py": app}, fastapi_call("GET", "/s"))
    assert {patch.effect.value for patch in done.patches} <= {"recover", "invent"}


def test_an_exception_handler_of_the_app_is_used(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """A class that `exception_handler` answers with a 4xx is raised from the service."""
    app = HEAD + (
        "from fastapi.responses import JSONResponse\nfrom errors import Missing\nimport store\n\n\n"
        "@app.exception_handler(Missing)\ndef missing(request, error):\n"
        "    return JSONResponse({'error': str(error)}, status_code=404)\n\n\n"
        "@app.get('/o/{key}')\ndef show(key: str):\n    return store.load(key)\n"
    )
    files = {
        "app.py": app,
        "errors.py": "class Missing(Exception):\n    pass\n",
        "store.py": "from errors import Missing\n\nROWS = {'a': 1}\n\n\ndef load(key):\n    return ROWS[key]\n",
    }
    done = heal(files, fastapi_call("GET", "/o/b"))
    assert [edit.path for edit in done.best.edits] == ["store.py"]
    assert done.after(fastapi_call("GET", "/o/b", answer=True)) == '404 {"error":"key not found"}'
