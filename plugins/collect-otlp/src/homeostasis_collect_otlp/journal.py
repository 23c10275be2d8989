"""Crashes that wait, on disk: they were acknowledged, so that they must outlive the process."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional

from pydantic import ValidationError

from homeostasis.collecting.crash import Crash, is_whole
from homeostasis.models import Runtime
from homeostasis.traceback_text import TextException, TextFrame

if TYPE_CHECKING:
    from pathlib import Path

    from homeostasis.monitoring.redaction import Redactor

MAX_BYTES = 33_554_432
"""Size at which no further crash waits until all are gone."""
_PLAIN = ("format", "id", "moment", "thread", "trace_id", "span_id", "service", "revision", "losses")
_Record = Dict[str, Any]


class Journal:
    """An append-only file of JSON lines: `chain`, `hold` and `done`. It is emptied when nothing waits any more.

    No secret is written: messages and lines of source are searched for them before.

    Args:
        path: made on first use.
        redactor: finds the secrets.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._path = path
        self._redactor = redactor
        self._lines: List[str] = []
        self._chains: Dict[int, int] = {}
        self._kept: List[List[TextException]] = []  # so that no id() in `_chains` is given away again
        self._descriptor: Optional[int] = None
        self._size = 0
        self._torn = False

    @property
    def full(self) -> bool:
        """Whether it must be emptied before anything else is written."""
        return self._size >= MAX_BYTES

    def load(self) -> Dict[int, Crash]:
        """The crashes that wait, by their numbers. A line that was not written whole is left out.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return {}
        chains: Dict[int, List[_Record]] = {}
        held: Dict[int, Crash] = {}
        for line in text.split("\n"):
            try:
                record = json.loads(line)
                if "chain" in record:
                    chains[record["chain"]] = record["items"]
                elif "done" in record:
                    for number in record["done"]:
                        held.pop(number, None)
                else:
                    held[record["hold"]] = _crash(record["crash"], chains[record["of"]])
            except (ValueError, KeyError, TypeError, ValidationError):
                continue
        return held

    def hold(self, number: int, crash: Crash) -> None:
        """A crash waits under this number; the same number again takes the place of what was written before."""
        chain = self._chains.get(id(crash.chain))
        if chain is None:
            chain = self._chains[id(crash.chain)] = len(self._kept)
            self._kept.append(crash.chain)
            items = [asdict(self._redacted(item)) for item in crash.chain]
            self._add({"chain": chain, "items": items})
        fields_of = {name: getattr(crash, name) for name in _PLAIN}
        fields_of["thread"] = None if crash.thread is None else self._redactor.text(crash.thread)
        fields_of["runtime"] = crash.runtime.model_dump(mode="json")
        self._add({"hold": number, "of": chain, "crash": fields_of})

    def done(self, numbers: Iterable[int]) -> None:
        """These wait no longer: they are in the ledger."""
        self._add({"done": list(numbers)})

    def flush(self) -> None:
        """Write what was added.

        Raises:
            OSError: it cannot be written; it is forgotten then.
        """
        data = "".join(self._lines).encode("utf-8", "replace")
        self._lines.clear()
        if not data:
            return
        try:
            self._write(data)
        except OSError:
            self._chains.clear()  # the next ones are written again
            self._kept.clear()
            raise

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = os.fstat(self._descriptor).st_size
        if self._torn:
            data = b"\n" + data
        written = os.write(self._descriptor, data)
        self._size += written
        self._torn = written < len(data)
        if self._torn:
            raise OSError("the disk is full")

    def clear(self) -> None:
        """Nothing waits: empty the file."""
        self._lines.clear()
        self._chains.clear()
        self._kept.clear()
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
        elif self._path.exists():
            self._path.unlink()
        self._size = 0

    def _add(self, record: _Record) -> None:
        self._lines.append(json.dumps(record, separators=(",", ":")) + "\n")

    def _redacted(self, item: TextException) -> TextException:
        clean = self._redactor.text
        return replace(
            item, message=clean(item.message), rest=[clean(line) for line in item.rest], frames=self._frames(item)
        )

    def _frames(self, item: TextException) -> List[TextFrame]:
        """The frames; one with a secret in its lines without them: they are read from the project's file then."""
        secret = [any(self._redactor.source(line) != line for line in frame.source) for frame in item.frames]
        return [replace(frame, source=[], carets=[]) if hidden else frame for frame, hidden in zip(item.frames, secret)]


_FRAME_FIELDS = frozenset(each.name for each in fields(TextFrame))
_EXCEPTION_FIELDS = frozenset(each.name for each in fields(TextException))


def _crash(found: _Record, items: List[_Record]) -> Crash:
    """Raises KeyError, TypeError or ValueError if it is none."""
    chain = [_exception(item) for item in items]
    if not is_whole(chain):
        raise ValueError("no exception")
    plain = {name: found[name] for name in _PLAIN}
    plain["losses"] = tuple(plain["losses"])
    return Crash(chain, runtime=Runtime.model_validate(found["runtime"]), **plain)


def _exception(item: _Record) -> TextException:
    frames = [TextFrame(**{key: frame[key] for key in _FRAME_FIELDS}) for frame in item["frames"]]
    for frame in frames:
        frame.carets = [(row, line) for row, line in frame.carets]
    return TextException(**{**{key: item[key] for key in _EXCEPTION_FIELDS}, "frames": frames})
