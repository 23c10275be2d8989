from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from pathlib import Path


class Cache:
    """Values in files, by name; the newest `size` stay."""

    def __init__(self, folder=None, size=3):
        self.folder = Path(folder or tempfile.gettempdir()) / "feeds-cache"
        self.size = size
        self.order = []
        self.hits = {}

    def file(self, name):
        digest = hashlib.sha1(str(name).encode()).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / digest

    def put(self, name, value):
        self.file(name).write_bytes(pickle.dumps(value))
        if name in self.order:
            self.order.remove(name)
        self.order.append(name)
        for old in list(self.order[: -self.size]):
            self.drop(old)
        return value

    def get(self, name, default=None):
        try:
            found = pickle.loads(self.file(name).read_bytes())
        except FileNotFoundError:
            return default
        self.hits[name] = self.hits.get(name, 0) + 1
        return found

    def drop(self, name):
        if name not in self.order:
            return False
        self.order.remove(name)
        self.hits.pop(name, None)
        try:
            os.remove(self.file(name))
        except FileNotFoundError:
            pass
        return True

    def rate(self):
        total = sum(self.hits.values())
        return len(self.order) / total if total else 0.0

    def favourite(self):
        return max(self.hits, key=self.hits.get, default=None)
