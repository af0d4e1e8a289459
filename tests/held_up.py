"""What jobs and publishers say of a machine that kept them waiting: who judges their work asks this first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

from egress.demo.plan import Plan
from egress.model.media import SECOND

Event = dict[str, Any]

_FEW = 10
"""Pictures or packets that the bars of a busy machine have room for."""
_SOON = 0.8
"""Seconds a step may take that a plan has at an instant, and an `alive` may be late: as much is allowed for anyway."""
_PULSE = 1.0


def job_held_up(events: Sequence[Event]) -> Iterator[str]:
    """How a job says that it was held up, attempt by attempt; nothing where it kept up all the time."""
    alive = [event for event in events if event.get("type") == "alive"]
    for attempt, told in groupby(alive, key=lambda event: event.get("attempt")):
        rows = list(told)
        last, intake = rows[-1], rows[-1].get("intake", {})
        figures = {
            "ticks came late": last["late"],
            "pictures were missing": last["repeated"] - last["halved"],
            "pictures were refused": last["refused"],
            "pictures were decoded late": intake.get("late", 0) + intake.get("overdue", 0),
            "frames were dropped": intake.get("dropped", 0),
        }
        yield from (f"attempt {attempt}: {count} {what}" for what, count in figures.items() if count > _FEW)
        if given_up := [name for name, span in last["degraded"].items() if span]:
            yield f"attempt {attempt}: it gave up {', '.join(given_up)}"
        pauses = [two["elapsed"] - one["elapsed"] for one, two in pairwise(rows)]
        if (longest := max(pauses, default=0.0)) > _PULSE + _SOON:
            yield f"attempt {attempt}: it said nothing for {longest:.1f} s"


def cast_held_up(plan: Plan, events: Sequence[Event]) -> Iterator[str]:
    """How participants say that they were held up, or lost their server and came back; `heard` is when (ns)."""
    zero = next(int(event["zero"]) for event in events if event["type"] == "ready")
    for part in plan.parts:
        mine = [event for event in events if event.get("peer") == part.person.id]
        due = [step.at for step in part.steps if step.do == "publish"]
        came = [float(event["at"]) for event in mine if event["type"] == "published"]
        late = max((at - then for then, at in zip(due, came, strict=False)), default=0.0)
        steps = [(event["heard"] - zero) / SECOND - event["at"] for event in mine if event["type"] == "step"]
        if (late := max([late, *steps])) > _SOON:
            yield f"{part.person.name} did something {late:.1f} s late"
        if any(event["type"] == "lost" for event in mine):
            yield f"{part.person.name} lost the server"
    for done in (event for event in events if event["type"] == "done"):
        left_out, late = done.get("skipped", 0), done.get("late", 0)
        if left_out + late > _FEW * len(plan.parts):
            yield f"participants left out {left_out} and sent {late} units late"
