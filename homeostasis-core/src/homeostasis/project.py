"""`Project`: the app under care, as hooks see it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Tuple

from homeostasis.config import Config, load_config

STATE_DIRECTORY = ".homeostasis"


@dataclass(frozen=True)
class Project:
    """A project root with its configuration. Everything that Homeostasis stores lies in `state`."""

    root: Path
    config: Config

    @classmethod
    def load(cls, root: Path) -> Project:
        """Read `pyproject.toml` of `root`.

        Raises:
            ConfigError: a setting is unknown or wrong, or the directory does not exist.
        """
        return cls(root=root.resolve(), config=load_config(root.resolve()))

    @property
    def state(self) -> Path:
        """`.homeostasis/`, private to the user; made on first use and ignored by git."""
        path = self.root / STATE_DIRECTORY
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (path / ".gitignore").write_text("*\n", encoding="utf-8")
        return path

    @property
    def spool(self) -> Path:
        """Where the monitoring of the app leaves its records."""
        return self.state / "spool"

    def share_settings(self) -> None:
        """Leave the monitoring settings where an app on Python below 3.11, which reads no TOML, finds them."""
        shared = {
            "service": self.config.service,
            "source": list(self.config.source),
            "monitoring": self.config.monitoring.model_dump(mode="json"),
        }
        (self.state / "monitoring.json").write_text(json.dumps(shared, indent=1) + "\n", encoding="utf-8")

    def covers(self, path: str) -> bool:
        """Whether a file (relative, forward slashes) lies in `source` and may be changed."""
        parts = _parts(path)
        if ".." in parts or STATE_DIRECTORY in parts:
            return False
        folders = [_parts(entry) for entry in self.config.source]
        return any(parts[: len(folder)] == folder for folder in folders)


@lru_cache(maxsize=4096)
def _parts(path: str) -> Tuple[str, ...]:
    return Path(path).parts
