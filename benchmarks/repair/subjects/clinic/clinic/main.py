from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from typing import Optional

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response

from clinic.repository import Repository
from clinic.schemas import Summary, VisitIn, VisitOut

app = FastAPI(title="clinic")
_repository = Repository()

ROOMS = {"a": ["xray", "lab"], "b": ["lab"], "c": []}
PRICES = {"short": 40, "long": 75}


def repository() -> Repository:
    return _repository


async def known_patient(patient: int, store: Repository = Depends(repository)):
    found = await store.patient(patient)
    if found is None:
        raise HTTPException(status_code=404, detail="no such patient")
    return found


def render(visit, patient) -> VisitOut:
    return VisitOut(
        id=visit["id"],
        patient=patient["name"],
        start=visit["start"],
        minutes=visit["minutes"],
        reason=(visit["reason"] or "unspecified").capitalize(),
        tags=sorted(visit["tags"]),
    )


@app.get("/patients/{patient}")
async def show_patient(patient=Depends(known_patient)):
    contact = patient.get("contact") or {}
    first, _, rest = patient["name"].partition(" ")
    initials = first[0] + (rest[0] if rest else "")
    return {"initials": initials, "emergency": contact.get("phone")}


@app.get("/patients/{patient}/phone")
async def phone(patient=Depends(known_patient)):
    if patient["phone"] is None:
        raise HTTPException(404, "no phone on file")
    return {"country": patient["phone"].split()[0].lstrip("+")}


@app.get("/patients/{patient}/summary", response_model=Summary)
async def summary(patient: int, store: Repository = Depends(repository)):
    visits = await store.visits_of(patient)
    lengths = [visit["minutes"] for visit in visits]
    total = sum(lengths)
    return Summary(
        visits=len(visits),
        minutes=total,
        mean=total / len(visits) if visits else 0.0,
        longest=max(lengths, default=None),
    )


@app.get("/visits/{number}", response_model=VisitOut)
async def show_visit(number: int, store: Repository = Depends(repository)):
    visit = await store.visit(number)
    if visit is None:
        raise HTTPException(404, "no such visit")
    patient = await store.patient(visit["patient"])
    return render(visit, patient)


@app.post("/visits", response_model=VisitOut, status_code=201)
async def book(visit: VisitIn, store: Repository = Depends(repository)):
    patient = await store.patient(visit.patient)
    if patient is None:
        raise HTTPException(404, "no such patient")
    if await store.overlapping(visit.start, visit.minutes):
        raise HTTPException(409, "that time is taken")
    made = store.put(visit.patient, visit.start, visit.minutes, reason=visit.reason, tags=visit.tags)
    return render(made, patient)


@app.post("/import")
async def bring_in(request: Request, store: Repository = Depends(repository)):
    try:
        document = await request.json()
    except ValueError:
        raise HTTPException(400, "the body is no JSON")
    rows = document.get("visits") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise HTTPException(400, "visits must be a list")
    made = []
    for row in rows:
        try:
            start = datetime.fromisoformat(row["start"])
        except (KeyError, TypeError, ValueError):
            raise HTTPException(422, "a visit has a start")
        made.append(store.put(int(row.get("patient", 1)), start, row.get("minutes", 15))["id"])
    return {"made": made}


@app.get("/export")
async def export(store: Repository = Depends(repository)):
    rows = [{"id": visit["id"], "start": visit["start"].isoformat()} for visit in store.visits]
    return Response(json.dumps(rows), media_type="application/json")


@app.get("/days")
async def by_day(store: Repository = Depends(repository)):
    days = defaultdict(list)
    for visit in store.visits:
        days[visit["start"].date().isoformat()].append(visit["id"])
    return days


@app.get("/rooms/{room}")
async def room(room: str, skip: int = 0):
    if room not in ROOMS:
        raise HTTPException(404, "no such room")
    devices = ROOMS[room]
    if skip >= len(devices):
        return {"next": None}
    return {"next": devices[skip]}


@app.get("/price")
async def price(kind: str = "short", voucher: Optional[str] = None, x_member: Optional[str] = Header(default=None)):
    amount = PRICES.get(kind)
    if amount is None:
        raise HTTPException(422, "kind is short or long")
    if voucher:
        name, _, percent = voucher.partition("-")
        if not percent.isdigit():
            raise HTTPException(400, "no such voucher")
        amount = amount * (100 - int(percent)) / 100
    if x_member is not None and x_member.isdigit():
        amount -= int(x_member)
    return {"amount": amount}


@app.delete("/visits")
async def cancel(before: datetime, store: Repository = Depends(repository)):
    return {"left": await store.cancel_before(before)}
