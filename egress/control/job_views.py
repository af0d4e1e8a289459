"""A job as the API gives it: made as bytes, with what is JSON in the database passed on as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from egress.control.jobs import KeptJob
from egress.control.values import rfc3339

_TEXT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_NOWHERE: dict[str, Any] = {}

LIVE = ("live", "whip", "thumbnail")
"""What `job_moves.set_live` may say beside `manifest`, `publish`, `paused` and `destinations`: each is in the view, or
null."""


def encode(job: KeptJob) -> bytes:
    """The job as JSON."""
    return _encoded(job).encode()


def encode_page(jobs: Iterable[KeptJob], next_: str | None) -> bytes:
    """A page of jobs as JSON: items, and the cursor of what follows."""
    return f'{{"items":[{",".join(map(_encoded, jobs))}],"next":{_TEXT.encode(next_)}}}'.encode()


def view(job: KeptJob) -> dict[str, Any]:
    """The job as plain data, for whoever adds to it."""
    seen: dict[str, Any] = json.loads(_encoded(job))
    return seen


def _encoded(job: KeptJob) -> str:
    return _remembered(job) if job.is_over else _of_the_moment(job)


@lru_cache(maxsize=4096)
def _remembered(job: KeptJob) -> str:
    """Lists are mostly of jobs that are over, which stay as they are: to make them costs more than to read them."""
    return _made(job)


@lru_cache(maxsize=512)
def _of_the_moment(job: KeptJob) -> str:
    """Jobs that live change about once a second, which many may look at."""
    return _made(job)


def _made(job: KeptJob) -> str:
    live = job.live if job.live_json else _NOWHERE
    head = {
        "id": job.id,
        "room": job.room,
        "room_name": job.room_name,
        "pipeline": job.pipeline,
        "template": job.template,
        "trigger": job.trigger,
        "schedule": job.schedule,
        "state": job.state.value,
        "desired": job.desired,
        "paused": bool(live.get("paused")),
        "reason": job.reason,
        "blame": job.blame.value if job.blame else None,
        "attempts": job.attempts,
        "created": rfc3339(job.created),
        "started": job.started and rfc3339(job.started),
        "ended": job.ended and rfc3339(job.ended),
        "duration": job.duration_ns / 1e9,
        "cost": job.cost_milli / 1000,
        "server": job.server,
        "caller": job.caller,
        "links": {
            "self": f"/api/v1/jobs/{job.id}",
            "live": (live.get("live") or _NOWHERE).get("url"),
            "manifest": live.get("manifest"),
            "publish": live.get("publish"),
        },
        **{name: live.get(name) for name in LIVE},
        "destinations": live.get("destinations", ()),
    }
    return f'{_TEXT.encode(head)[:-1]},"metadata":{job.metadata_json},"figures":{job.figures_json or "null"}}}'
