"""Tickets and what happens to them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Dict, List, Optional


class Priority(Enum):
    LOW = "low"
    NORMAL = "normal"
    URGENT = "urgent"


HOURS = {Priority.LOW: 72, Priority.NORMAL: 24}


@dataclass
class Ticket:
    number: int
    title: str
    priority: Priority = Priority.NORMAL
    owner: Optional[str] = None
    opened: datetime = field(default_factory=lambda: datetime(2024, 6, 1, 9, tzinfo=timezone.utc))
    answers: List[str] = field(default_factory=list)
    labels: Dict[str, str] = field(default_factory=dict)

    def due(self) -> datetime:
        return self.opened + timedelta(hours=HOURS.get(self.priority, 4))

    def overdue(self, now: Optional[datetime] = None) -> bool:
        moment = now or datetime.now(timezone.utc)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment > self.due()

    def last_answer(self) -> Optional[str]:
        return self.answers[-1] if self.answers else None

    def excerpt(self, length: int = 10) -> str:
        text = self.last_answer() or ""
        return text[:length].strip()


class Desk:
    def __init__(self, tickets=None):
        self.tickets = {ticket.number: ticket for ticket in tickets or []}
        self.closed = []

    def open(self, title, priority="normal"):
        number = max(self.tickets, default=0) + 1
        self.tickets[number] = Ticket(number, title, priority=Priority(priority))
        return self.tickets[number]

    def close_stale(self, now):
        for number, ticket in list(self.tickets.items()):
            if ticket.overdue(now):
                self.closed.append(number)
                del self.tickets[number]
        return self.closed

    def by_owner(self):
        found: Dict[str, List[int]] = {}
        for ticket in self.tickets.values():
            found.setdefault(ticket.owner or "nobody", []).append(ticket.number)
        return found

    def busiest(self):
        owners = self.by_owner()
        owners.pop("nobody", None)
        ranked = sorted(owners.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        return ranked[0][0] if ranked else None


class Archive:
    def __init__(self):
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.connection.execute("create table note (ticket integer, text text, at text)")
        self.connection.execute("insert into note values (1, 'rebooted', '2024-06-01T10:00:00'), (1, null, null)")

    def notes(self, ticket):
        rows = self.connection.execute("select text, at from note where ticket = ? order by rowid", (ticket,)).fetchall()
        return [{"text": text or "", "at": datetime.fromisoformat(at).date().isoformat() if at else None} for text, at in rows]

    def latest(self, ticket):
        row = self.connection.execute("select text from note where ticket = ? order by rowid", (ticket,)).fetchone()
        return row[0] if row else None

    def add(self, ticket, text):
        with self.connection:
            self.connection.execute("insert into note values (?, ?, ?)", (ticket, text, "2024-06-02T08:00:00"))
        return self.connection.execute("select count(*) from note").fetchone()[0]
