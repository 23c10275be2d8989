"""Patients and visits, in memory. The methods are coroutines because the real ones talk to a server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

OPENING = datetime(2024, 1, 8, 8, 0, tzinfo=timezone.utc)


class Repository:
    def __init__(self):
        self.patients = {
            1: {"name": "Ida Lund", "phone": "+45 1234", "contact": {"name": "Per", "phone": "+45 9999"}},
            2: {"name": "Omar Sy", "phone": None, "contact": None},
            3: {"name": "Lea", "phone": "+33 77"},
        }
        self.visits = []
        self.next_id = 1
        for patient, hours, minutes in ((1, 0, 30), (1, 30, 15), (3, 2, 45)):
            self.put(patient, OPENING + timedelta(hours=hours), minutes, None, [])

    def put(self, patient, start, minutes, reason=None, tags=None):
        if start.tzinfo is None:
            start = start.replace(tzinfo=timezone.utc)
        visit = {
            "id": self.next_id,
            "patient": patient,
            "start": start,
            "minutes": minutes,
            "reason": reason,
            "tags": list(tags or []),
        }
        self.visits.append(visit)
        self.next_id += 1
        return visit

    async def patient(self, number):
        return self.patients.get(number)

    async def visit(self, number):
        return next((visit for visit in self.visits if visit["id"] == number), None)

    async def visits_of(self, patient):
        return [visit for visit in self.visits if visit["patient"] == patient]

    async def overlapping(self, start, minutes):
        if start.tzinfo is None:
            start = start.replace(tzinfo=timezone.utc)
        end = start + timedelta(minutes=minutes)
        found = []
        for visit in self.visits:
            if visit["start"] < end and start < visit["start"] + timedelta(minutes=visit["minutes"]):
                found.append(visit)
        return found

    async def cancel_before(self, moment):
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        for visit in list(self.visits):
            if visit["start"] < moment:
                self.visits.remove(visit)
        return len(self.visits)
