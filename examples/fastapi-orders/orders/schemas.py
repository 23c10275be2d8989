"""Request bodies and stored entities."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from pydantic import BaseModel


class EstimateRequest(BaseModel):
    carrier: str = "road"
    lines: List[Dict[str, Any]]


@dataclass
class Customer:
    id: str
    name: str
    tier: str = "standard"


@dataclass
class Order:
    id: str
    customer_id: str
    region: str
    total: float
    events: List[dict] = field(default_factory=list)
    note: Optional[str] = None
