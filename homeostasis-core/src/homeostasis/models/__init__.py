"""The values that flow through the six stages, each frozen, each in a module of its own.

`Event` → `Incident` → `Diagnosis` → `Patch` → `Trial` → `Verdict` → `Release`.
"""

from __future__ import annotations

from homeostasis.models.base import Model
from homeostasis.models.diagnosis import Diagnosis, Fix
from homeostasis.models.event import Breadcrumb, Command, Event, Frame, Raised, Request, Runtime, Span, Value
from homeostasis.models.incident import Incident, State, Transition
from homeostasis.models.notification import Notification
from homeostasis.models.patch import Effect, FileEdit, Patch, Risk
from homeostasis.models.release import Release, Step
from homeostasis.models.trial import Completed, Runner, Trial
from homeostasis.models.verdict import Check, Outcome, Verdict

__all__ = [
    "Breadcrumb",
    "Check",
    "Command",
    "Completed",
    "Diagnosis",
    "Effect",
    "Event",
    "FileEdit",
    "Fix",
    "Frame",
    "Incident",
    "Model",
    "Notification",
    "Outcome",
    "Patch",
    "Raised",
    "Release",
    "Request",
    "Risk",
    "Runner",
    "Runtime",
    "Span",
    "State",
    "Step",
    "Transition",
    "Trial",
    "Value",
    "Verdict",
]
