"""Schedules over HTTP: jobs that start by the clock."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from egress.control import calendar, job_views, occurrences, planning, schedules
from egress.control.occurrences import Occurrence
from egress.control.schedules import KeptSchedule
from egress.control.values import micros, moment, rfc3339, since_epoch
from egress.model.errors import Conflict, Forbidden, NotFound
from egress.model.schedule import ScheduleDoc, When, read_schedule
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Call, Cursor, Id, Limit, Version, body, call
from egress.web.api.routes import Routes

routes = Routes("schedules")

_NEXT = 5
_EXAMPLE = {
    "name": "Evening mass",
    "when": {"cron": "0 18 * * sun", "timezone": "Europe/Berlin"},
    "job": {"room": "janus+wss://janus.example.org/janus/1234", "pipeline": "record-grid"},
    "duration": "90m",
    "lead": "2m",
}


@routes.on("POST /schedules", "start", views.ScheduleView, status=201, takes=ScheduleDoc, example=_EXAMPLE)
async def create_schedule(request: Request) -> Response:
    """Keep a schedule."""
    asked = call(request)
    doc = _allowed(asked, read_schedule(await body(request)))
    store = asked.service.store
    kept = await store.write(schedules.create, store.sealer, doc, next_at=planning.first_look(doc, micros()))
    return Json(_seen(kept), 201, {"Location": f"{request.url.path}/{kept.id}"})


@routes.on("GET /schedules", "read", views.SchedulePage)
async def list_schedules(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Schedules, the latest first. Who is kept to some rooms sees those in them, and short pages."""
    asked = call(request)
    page = await asked.service.store.read(schedules.page, limit=limit, after=cursor)
    mine = [_seen(one) for one in page.items if asked.caller.may_enter(str(one.document["job"]["room"]))]
    return Json({"items": mine, "next": page.next})


@routes.on("GET /schedules/{id}", "read", views.ScheduleView, refuses=(404,))
async def get_schedule(request: Request, id: Id) -> Response:
    """One schedule, without its secrets."""
    return Json(_seen(await _mine(call(request), id)))


@routes.on("PUT /schedules/{id}", "start", views.ScheduleView, takes=ScheduleDoc, example=_EXAMPLE, refuses=(404, 409))
async def put_schedule(request: Request, id: Id, version: Version = None) -> Response:
    """Put another document in a schedule's place."""
    asked = call(request)
    before = await _mine(asked, id)
    doc = _allowed(asked, read_schedule(await body(request)))
    store = asked.service.store
    next_at = None if before.paused else planning.first_look(doc, micros())
    kept = await store.write(schedules.change, store.sealer, id, doc, next_at=next_at, version=version)
    return Json(_seen(kept))


@routes.on("DELETE /schedules/{id}", "start", status=204, refuses=(404,))
async def delete_schedule(request: Request, id: Id) -> Response:
    """Forget a schedule; its jobs go on."""
    asked = call(request)
    await _mine(asked, id)
    await asked.service.store.write(schedules.remove, id)
    return Response(status_code=204)


@routes.on("POST /schedules/{id}/pause", "start", views.ScheduleView, refuses=(404,))
async def pause_schedule(request: Request, id: Id) -> Response:
    """Have a schedule rest: its times are left out until it is resumed."""
    asked = call(request)
    await _mine(asked, id)
    return Json(_seen(await asked.service.store.write(schedules.pause, id, True, next_at=None)))


@routes.on("POST /schedules/{id}/resume", "start", views.ScheduleView, refuses=(404, 409))
async def resume_schedule(request: Request, id: Id) -> Response:
    """Have a schedule go on with its next time."""
    asked = call(request)
    await _mine(asked, id)
    store = asked.service.store

    def resume(connection: Connection) -> KeptSchedule:
        kept = schedules.get(connection, id)
        if not kept.paused:
            return kept
        doc = schedules.open_schedule(connection, store.sealer, id)
        return schedules.pause(connection, id, False, next_at=planning.first_look(doc, micros()))

    return Json(_seen(await store.write(resume)))


@routes.on("POST /schedules/{id}/run", "start", views.JobView, status=201, also={200: views.JobView},
           refuses=(404, 409, 502))  # fmt: skip
async def run_schedule(request: Request, id: Id) -> Response:
    """Start the job of a schedule now, beside its times."""
    asked = call(request)
    await _mine(asked, id)
    scheduler = request.app.state.scheduler
    if scheduler is None:
        raise Conflict("this server runs no schedules", (("id", "cannot run here"),))
    made = await scheduler.run_now(id)
    return Json(job_views.encode(made.job), 200 if made.repeated else 201)


@routes.on("GET /schedules/{id}/occurrences", "read", views.OccurrencePage, refuses=(404,))
async def list_occurrences(request: Request, id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What became of the times of a schedule, the latest first."""
    asked = call(request)
    await _mine(asked, id)
    page = await asked.service.store.read(occurrences.page, id, limit=limit, after=cursor)
    return Json({"items": [_time(one) for one in page.items], "next": page.next})


def _allowed(asked: Call, doc: ScheduleDoc) -> ScheduleDoc:
    if not asked.caller.may_enter(doc.job.room):
        raise Forbidden(
            f"this key or token is not for the room {doc.job.room[:200]}", (("job.room", "is not one of yours"),)
        )
    return doc


async def _mine(asked: Call, id_: str) -> KeptSchedule:
    """A schedule of a room that is the caller's; raises NotFound."""
    kept = await asked.service.store.read(schedules.get, id_)
    if not asked.caller.may_enter(str(kept.document["job"]["room"])):
        raise NotFound(f"there is no schedule {id_[:60]!r}", (("id", "is no schedule's"),))
    return kept


def _seen(kept: KeptSchedule) -> dict[str, Any]:
    return {
        **kept.document,
        "id": kept.id,
        "paused": kept.paused,
        "next": [] if kept.paused else _upcoming(kept),
        "created": rfc3339(kept.created),
        "updated": rfc3339(kept.updated),
        "version": kept.version,
    }


def _upcoming(kept: KeptSchedule) -> list[str]:
    try:
        when = When.model_validate(kept.document["when"])
    except ValidationError:
        # A time zone may be gone from this machine that was there when the schedule was made.
        return []
    return [rfc3339(since_epoch(at)) for at in calendar.upcoming(when, moment(micros()), _NEXT)]


def _time(one: Occurrence) -> dict[str, Any]:
    return {
        "fire_at": rfc3339(one.fire_at),
        "state": one.state,
        "job": one.job,
        "note": one.note,
        "at": rfc3339(one.at),
        "server": one.server,
    }
