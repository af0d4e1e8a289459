"""Jobs over HTTP: start, look, list, stop, forget."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Header, Query
from pydantic import Field
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from egress.control import job_lists, job_views, jobs
from egress.control.values import since_epoch
from egress.model.errors import NotFound, RequestError
from egress.model.forms import read_form
from egress.model.job import JobState
from egress.model.look import Document
from egress.model.problems import one_of
from egress.model.request import JobRequest, read_request
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Cursor, Id, Limit, body, call
from egress.web.api.routes import Routes
from egress.web.api.sharing import Shared

routes = Routes("jobs")

_STATES = {state.value: state for state in JobState}
_EXAMPLE = {
    "room": "local:standup",
    "pipeline": "record-grid",
    "destinations": [{"to": "rtmp://live.example.org/app/KEY", "name": "stage"}],
    "overrides": {"title": "Stand-up", "layout": "speaker"},
    "metadata": {"team": "blue"},
}

Time = Annotated[datetime | None, Query(description="RFC 3339, like 2026-03-01T12:00:00Z.")]
Text = Annotated[str | None, Query(max_length=300)]


class StopDoc(Document):
    """Why a job is to stop."""

    reason: str = Field("asked to stop", min_length=1, max_length=200, description="For the manifest.")


@routes.on("POST /jobs", "start", views.JobView, status=201, also={200: views.JobView}, takes=JobRequest,
           example=_EXAMPLE, refuses=(404, 409, 502))  # fmt: skip
async def start_job(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="Of your own: the same request again gives the same job."),
    ] = None,
) -> Response:
    """Start a job. With an Idempotency-Key a repeated request gives the job it made, with status 200."""
    asked = call(request)
    data = await body(request)
    wanted = read_request(data)
    made = await asked.service.start(
        wanted, asked.caller, idempotency=idempotency_key, body=data, template=wanted.template
    )
    where = {"Location": f"{request.url.path}/{made.job.id}"}
    return Json(job_views.encode(made.job), 200 if made.repeated else 201, where)


@routes.on("GET /jobs", "read", views.JobPage)
async def list_jobs(
    request: Request,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: Annotated[str | None, Query(max_length=200, description="One or more, commas between.")] = None,
    room: Annotated[str | None, Query(max_length=2000, description="Its address or its name.")] = None,
    template: Text = None,
    pipeline: Text = None,
    schedule: Text = None,
    since: Time = None,
    until: Time = None,
    q: Annotated[str | None, Query(max_length=200, description="Stands in id, room, pipeline or metadata.")] = None,
) -> Response:
    """Jobs, the latest first."""
    asked = call(request)
    only = job_lists.JobFilter(
        states=_states(state),
        room=room,
        rooms=asked.caller.rooms,
        template=template,
        pipeline=pipeline,
        schedule=schedule,
        since=_instant("since", since),
        until=_instant("until", until),
        text=q,
    )

    def read(connection: Connection) -> bytes:
        page = job_lists.page(connection, only, limit=limit, after=cursor)
        return job_views.encode_page(page.items, page.next)

    shared: Shared = request.app.state.lists
    return Json(await shared.get((only, limit, cursor), lambda: asked.service.store.read(read)))


@routes.on("GET /jobs/{id}", "read", views.JobView, refuses=(404,))
async def get_job(request: Request, id: Id) -> Response:
    """One job."""
    return Json(await call(request).seen(id))


@routes.on("GET /jobs/{id}/request", "read", "application/json", refuses=(404,))
async def get_request(request: Request, id: Id) -> Response:
    """What a job was asked to be, without its secrets."""
    asked = call(request)
    await asked.job(id)
    return Json(await asked.service.store.read(jobs.shown_request, id))


@routes.on("DELETE /jobs/{id}", "admin", status=204, refuses=(404, 409))
async def delete_job(
    request: Request,
    id: Id,
    artifacts: Annotated[bool, Query(description="Take away what it made, here and in stores, too.")] = False,
) -> Response:
    """Forget a job that is over. What of its artifacts cannot be taken away is named, and the job stays."""
    asked = call(request)
    await asked.job(id)
    await asked.service.remove(id, artifacts=artifacts)
    return Response(status_code=204)


@routes.on("POST /jobs/{id}/stop", "stop", views.JobView, takes=StopDoc, optional=True, refuses=(404, 409))
async def stop_job(request: Request, id: Id) -> Response:
    """Have a job stop; what it made is finished and delivered. One that is over stays as it is."""
    asked = call(request)
    said = read_form(StopDoc, await body(request, optional=True), "stop")
    job = await asked.job(id)
    if not job.is_over:
        job = await asked.service.stop(id, said.reason)
    return Json(job_views.encode(job))


@routes.on("GET /jobs/{id}/thumbnail", "read", "image/jpeg", refuses=(404,))
async def get_thumbnail(request: Request, id: Id) -> Response:
    """The latest picture of a job."""
    asked = call(request)
    await asked.job(id)
    path = await asked.service.thumbnail(id)
    if path is None or not await asked.service.store.run(path.is_file):
        raise NotFound("there is no picture of this job yet", (("id", "has no picture yet"),))
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "no-cache"})


@routes.on("GET /jobs/{id}/log", "read", "text/plain", refuses=(404,))
async def get_log(
    request: Request,
    id: Id,
    tail: Annotated[int, Query(ge=1, le=10_000, description="How many lines, the last ones.")] = 1000,
) -> Response:
    """What the worker of a job logged."""
    asked = call(request)
    job = await asked.job(id)
    return PlainTextResponse(await asked.service.log(job, tail), headers={"Cache-Control": "no-store"})


def _states(text: str | None) -> tuple[JobState, ...]:
    found = []
    for word in (text or "").split(","):
        if not (word := word.strip()):
            continue
        if word not in _STATES:
            what = f"{word[:40]!r} is no state of a job; use {one_of(_STATES)}"
            raise RequestError(f"state: {what}", (("state", what),))
        found.append(_STATES[word])
    return tuple(dict.fromkeys(found))


def _instant(field: str, at: datetime | None) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None:
        what = "says no offset; write it like 2026-03-01T12:00:00Z"
        raise RequestError(f"{field}: {what}", ((field, what),))
    return since_epoch(at)
