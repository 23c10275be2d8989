from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from pydantic import BaseModel, Field, field_validator


class VisitIn(BaseModel):
    patient: int
    start: datetime
    minutes: int = Field(default=15, ge=5, le=240)
    reason: Optional[str] = None
    tags: List[str] = Field(default_factory=list)

    @field_validator("tags")
    @classmethod
    def lowered(cls, tags: List[str]) -> List[str]:
        return [tag.strip().lower() for tag in tags]


class VisitOut(BaseModel):
    id: int
    patient: str
    start: datetime
    minutes: int
    reason: str
    tags: List[str]


class Summary(BaseModel):
    visits: int
    minutes: int
    mean: float
    longest: Optional[int] = None
