"""A job as the API gives it: made as bytes, with what is JSON in the database passed on as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from egress.control.jobs import KeptJob
from egress.control.values import Micros, rfc3339

_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_string: Callable[[str], str] = json.encoder.encode_basestring_ascii
_NOWHERE: dict[str, Any] = {}

LIVE = ("live", "whip", "thumbnail", "layout")
"""What `job_moves.set_live` may say beside `manifest`, `publish`, `paused` and `destinations`: each is in the view, or
null."""

_NOTHING_TOLD = "".join(f',"{name}":null' for name in LIVE) + ',"destinations":[]'


def encode(job: KeptJob) -> bytes:
    """The job as JSON."""
    return _encoded(job).encode()


def encode_page(jobs: Iterable[KeptJob], next_: str | None) -> bytes:
    """A page of jobs as JSON: items, and the cursor of what follows."""
    return f'{{"items":[{",".join(map(_encoded, jobs))}],"next":{_JSON.encode(next_)}}}'.encode()


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
    # Written field by field: a page of fifty is made several times as fast as from dictionaries.
    live = job.live if job.live_json else _NOWHERE
    watched = (live.get("live") or _NOWHERE).get("url")
    return (
        f'{{"id":{_string(job.id)},"room":{_string(job.room)},"room_name":{_string(job.room_name)}'
        f',"pipeline":{_string(job.pipeline)},"template":{_text(job.template)},"trigger":{_text(job.trigger)}'
        f',"schedule":{_text(job.schedule)},"state":"{job.state.value}","desired":"{job.desired}"'
        f',"paused":{"true" if live.get("paused") else "false"},"reason":{_string(job.reason)}'
        f',"blame":{_text(job.blame and job.blame.value)},"attempts":{job.attempts}'
        f',"created":"{rfc3339(job.created)}","started":{_time(job.started)},"ended":{_time(job.ended)}'
        f',"duration":{job.duration_ns / 1e9!r},"cost":{job.cost_milli / 1000!r},"server":{_text(job.server)}'
        f',"caller":{_string(job.caller)},"links":{{"self":{_string("/api/v1/jobs/" + job.id)},"live":{_text(watched)}'
        f',"manifest":{_text(live.get("manifest"))},"publish":{_text(live.get("publish"))}}}{_told(live)}'
        f',"metadata":{job.metadata_json},"figures":{job.figures_json or "null"}}}'
    )


def _told(live: Mapping[str, Any]) -> str:
    if not live:
        return _NOTHING_TOLD
    told = {name: live.get(name) for name in LIVE} | {"destinations": live.get("destinations", ())}
    return f",{_JSON.encode(told)[1:-1]}"


def _text(text: str | None) -> str:
    return "null" if text is None else _string(text)


def _time(at: Micros | None) -> str:
    return "null" if at is None else f'"{rfc3339(at)}"'
