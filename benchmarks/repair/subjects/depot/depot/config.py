import configparser
import json
import os
from pathlib import Path

DEFAULTS = {"url": "sqlite://", "low_water": 2, "zones": ["north", "south"], "label": "depot"}


class Config:
    def __init__(self, values=None):
        self.values = dict(DEFAULTS)
        self.values.update(values or {})
        self.problems = []

    @classmethod
    def load(cls, path=None):
        name = path or os.environ.get("DEPOT_CONFIG")
        if name is None:
            return cls()
        file = Path(name)
        if not file.exists():
            return cls()
        if file.suffix == ".json":
            return cls(json.loads(file.read_text(encoding="utf-8") or "{}"))
        parser = configparser.ConfigParser()
        parser.read(file, encoding="utf-8")
        section = dict(parser["depot"]) if parser.has_section("depot") else {}
        if "low_water" in section:
            section["low_water"] = int(section["low_water"])
        return cls(section)

    def get(self, name, default=None):
        return self.values.get(name, default)

    def zone(self, index=0):
        zones = self.get("zones") or []
        return zones[index] if index < len(zones) else None

    def number(self, name, default=0):
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError):
            self.problems.append(name)
            return default
