"""Puts the crashes that waited for their requests into the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis.collecting.events import EventMaker

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink, Stop
    from homeostasis.project import Project
    from homeostasis_collect_otlp.intake import Intake
    from homeostasis_collect_otlp.settings import CollectOtlpSettings

_LOOK_SECONDS = 0.1
MAX_GROUP = 500
"""Crashes of one batch: the ledger waits for it."""


class Settling:
    """A collector of what the receivers took and had wait."""

    def __init__(self, project: Project, settings: CollectOtlpSettings, intake: Intake) -> None:
        self._project = project
        self._settings = settings
        self._intake = intake

    def run(self, sink: Sink, stop: Stop) -> None:
        """Put what need not wait any longer, until `stop` is set. What waits then is put after the next start."""
        self._intake.restore()
        maker = EventMaker(self._project, self._settings, "otlp")
        while not stop.is_set():
            due = self._intake.due()[:MAX_GROUP]
            if due:
                with sink.batch():
                    maker.put([waiting.crash() for waiting in due], sink)
                self._intake.done(due)
            else:
                self._intake.wake.wait(_LOOK_SECONDS)
