from __future__ import annotations

import json
import re
from datetime import datetime, timezone

STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d))?")


def parse_stamp(text):
    match = STAMP.match(text or "")
    if match is None:
        return None
    parts = [int(part) for part in match.groups() if part is not None]
    return datetime(*parts, tzinfo=timezone.utc)


class Feed:
    """A JSON feed: `{"title", "items": [{"id", "published", "author": {"name"}, "tags"}]}`."""

    def __init__(self, document):
        self.title = document.get("title", "untitled")
        self.entries = document.get("items") or []
        self.errors = []

    @classmethod
    def load(cls, raw):
        if isinstance(raw, bytes):
            raw = raw.decode("utf-8")
        try:
            document = json.loads(raw or "{}")
        except ValueError:
            document = {}
        return cls(document)

    def author(self, position):
        if not -len(self.entries) <= position < len(self.entries):
            return None
        author = self.entries[position].get("author") or {}
        return author.get("name", "anonymous")

    def newest(self):
        dated = [item for item in self.entries if parse_stamp(item.get("published")) is not None]
        if not dated:
            return None
        return max(dated, key=lambda item: parse_stamp(item["published"])).get("id")

    def tags(self):
        found = set()
        for item in self.entries:
            found.update(tuple(item.get("tags") or ()))
        return sorted(found)

    def since(self, moment):
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        found = []
        for item in self.entries:
            stamp = parse_stamp(item.get("published"))
            if stamp is None:
                continue
            if stamp >= moment:
                found.append(item["id"])
        return found

    def dump(self):
        stamps = [parse_stamp(item.get("published")) for item in self.entries]
        return json.dumps({"title": self.title, "stamps": stamps}, default=str)

    def first(self, default=None):
        return next(iter(self.entries), default)


def merge(*feeds, limit=None):
    seen, merged = set(), []
    for feed in feeds:
        for item in feed.entries:
            key = frozenset(item.get("tags") or []) if "id" not in item else item["id"]
            if key in seen:
                continue
            seen.add(key)
            merged.append(item)
    return merged[:limit]


def read_log(lines):
    """Counts by level from `LEVEL message` lines."""
    levels = {}
    last = None
    for line in lines:
        if not line.strip():
            continue
        last, *rest = line.split()
        levels[last] = levels.get(last, 0) + 1
    return levels, last
