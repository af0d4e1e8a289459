"""What happened, as it is written down and told: one value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from egress.control.values import Micros


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `seq` goes up in the order of commits, `id` is the same to every receiver."""

    seq: int
    id: str
    job: str | None
    at: Micros
    type: str
    body_json: str

    @property
    def body(self) -> dict[str, Any]:
        """What it says."""
        body: dict[str, Any] = json.loads(self.body_json)
        return body
