"""`View`: an exception of an event as rules see it; what is expensive is worked out when a rule first asks for it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Dict, Tuple

from homeostasis.models import Event, Frame, Raised, Value
from homeostasis.source import SourceTree
from homeostasis_rules_python.code.answering import case_of
from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.cause import Cause
from homeostasis_rules_python.facts import Facts, extract
from homeostasis_rules_python.facts.because import because
from homeostasis_rules_python.matching.fields import MISSING, getter

__all__ = ["MISSING", "View"]


class View:
    """What conditions are judged against; `homeostasis_rules_python.matching.fields` names the fields."""

    def __init__(self, event: Event, number: int, source: SourceTree) -> None:
        """Look at one exception of an event.

        Args:
            event: what happened.
            number: index into `event.exceptions`.
            source: the files.
        """
        self.event = event
        self.raised: Raised = event.exceptions[number]
        self._number = number
        self._source = source

    @cached_property
    def case(self) -> Case:
        """The exception laid over the source; files are parsed for it."""
        return case_of(self.event, self._number, self._source)

    @cached_property
    def facts(self) -> Facts | None:
        """What is known about the failing expression."""
        return extract(self.case)

    @cached_property
    def cause(self) -> Cause | None:
        """Why the failing code met the value that it could not bear."""
        return because(self.facts) if self.facts is not None else None

    @property
    def frame(self) -> Frame | None:
        """The innermost frame that may be edited, else the innermost."""
        if self.case.crash is not None:
            return self.case.crash.frame
        return self.raised.frames[-1] if self.raised.frames else None

    @property
    def locals(self) -> Dict[str, Value]:
        """Variables of the innermost frame that may be edited."""
        return self.case.crash.locals if self.case.crash is not None else {}

    @cached_property
    def document(self) -> Any:
        """The event as JSON values, for JSON paths."""
        return self.event.model_dump(mode="json")

    @property
    def text(self) -> str:
        """`Type: message`, as the interpreter prints it."""
        return f"{self.raised.dotted}: {self.raised.message}" if self.raised.message else self.raised.dotted

    @property
    def types(self) -> Tuple[str, ...]:
        """Names and dotted names of the exception's class and its bases."""
        names = [self.raised.type, self.raised.dotted]
        for base in self.raised.bases:
            names += [base, base.split(".")[-1]]
        return tuple(dict.fromkeys(names))

    def get(self, field: str) -> Any:
        """The value of a field, or `MISSING`."""
        return getter(field)(self)
