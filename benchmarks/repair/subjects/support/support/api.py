from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Optional
from uuid import UUID

from fastapi import Body, FastAPI, HTTPException, Query
from fastapi.responses import JSONResponse

from support.domain import Archive, Desk, Priority, Ticket


class ApiError(Exception):
    def __init__(self, code: str, status: int = 400):
        self.code = code
        self.status = status


AGENTS = {
    "8c1f6d52-32b0-4a61-9d0e-6f0c0b1d2a10": {"name": "Noor", "rate": "41.50", "skills": ["network", "mail"]},
    "0b7f0a0e-7a6b-4d0c-8d5f-2f9d1d9c7c11": {"name": "Tilde", "rate": None, "skills": []},
}


def seeded() -> Desk:
    return Desk(
        [
            Ticket(1, "no network", Priority.URGENT, owner="Noor", answers=["have you tried turning it off"], labels={"site": "west"}),
            Ticket(2, "slow mail", owner="Noor"),
            Ticket(3, "new chair", Priority.LOW),
        ]
    )


def create_app() -> FastAPI:
    app = FastAPI()
    desk, archive = seeded(), Archive()

    @app.exception_handler(ApiError)
    async def answer(request, error: ApiError):
        return JSONResponse({"error": error.code}, status_code=error.status)

    def ticket_of(number: int) -> Ticket:
        ticket = desk.tickets.get(number)
        if ticket is None:
            raise ApiError("unknown-ticket", 404)
        return ticket

    async def load(number: int) -> Ticket:
        await asyncio.sleep(0)
        return ticket_of(number)

    @app.get("/tickets/{number}")
    async def show(number: int):
        ticket = await load(number)
        return {
            "title": ticket.title,
            "owner": (ticket.owner or "nobody").upper(),
            "due": ticket.due().isoformat(),
            "site": ticket.labels.get("site", "main"),
            "last": ticket.excerpt(),
        }

    @app.get("/tickets/{number}/overdue")
    async def overdue(number: int, now: Optional[datetime] = None):
        ticket = await load(number)
        return {"overdue": ticket.overdue(now)}

    @app.get("/tickets/{number}/answers/{position}")
    async def one_answer(number: int, position: int):
        answers = (await load(number)).answers
        if not 0 <= position < len(answers):
            raise ApiError("unknown-answer", 404)
        return {"text": answers[position]}

    @app.post("/tickets", status_code=201)
    async def create(body: dict = Body(...)):
        title = (body.get("title") or "").strip()
        if not title:
            raise ApiError("title-missing")
        try:
            ticket = desk.open(title, body.get("priority", "normal"))
        except ValueError:
            raise ApiError("unknown-priority", 422)
        return {"number": ticket.number, "priority": ticket.priority.value}

    @app.post("/tickets/{number}/answers")
    async def reply(number: int, body: dict = Body(...)):
        ticket = await load(number)
        text = body.get("text")
        if not isinstance(text, str):
            raise ApiError("text-missing")
        ticket.answers.append(text.strip())
        return {"count": len(ticket.answers)}

    @app.get("/agents/{agent}")
    async def agent(agent: str):
        try:
            key = str(UUID(agent))
        except ValueError:
            raise ApiError("malformed-id")
        found = AGENTS.get(key)
        if found is None:
            raise ApiError("unknown-agent", 404)
        best = found["skills"][0] if found["skills"] else None
        return {"name": found["name"], "best": best}

    @app.get("/agents/{agent}/cost")
    async def cost(agent: str, hours: str = "1"):
        found = AGENTS.get(agent)
        if found is None:
            raise ApiError("unknown-agent", 404)
        try:
            amount = Decimal(found["rate"] or "0") * Decimal(hours)
        except InvalidOperation:
            raise ApiError("hours-malformed")
        return {"cost": str(amount.quantize(Decimal("0.01")))}

    @app.get("/owners")
    async def owners():
        return {"owners": desk.by_owner(), "busiest": desk.busiest()}

    @app.get("/load")
    async def load_figures(agents: int = Query(default=2)):
        if agents == 0:
            raise ApiError("agents-zero")
        return {"per_agent": len(desk.tickets) // agents}

    @app.post("/sweep")
    async def sweep(body: dict = Body(...)):
        moment = body.get("now")
        if moment is None:
            raise ApiError("now-missing")
        return {"closed": desk.close_stale(datetime.fromisoformat(moment))}

    @app.get("/notes/{number}")
    def notes(number: int):
        return {"notes": archive.notes(number), "latest": (archive.latest(number) or "none").capitalize()}

    @app.post("/notes/{number}")
    def add_note(number: int, body: dict = Body(...)):
        return {"count": archive.add(number, body.get("text"))}

    return app
