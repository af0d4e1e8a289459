"""Events over HTTP: pages of what happened, and streams of what happens (server-sent events)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from egress.control import events, job_views, jobs
from egress.control.event import Event
from egress.control.updates import Update, event_view
from egress.model.errors import EgressError, NotFound, RequestError, TooMany
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Call, Id, Job, Limit, call
from egress.web.api.routes import Routes

routes = Routes("events")

STREAM = "text/event-stream"
MOST_STREAMS = 1000
BEAT = 15.0
"""Seconds of silence after which a stream says that it lives, and looks whether its caller still may follow."""

_RETRY = 2000
_PAGE = 200
_LONGEST = 10_000
"""Events told to one who comes back; who missed more is told so."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_LARGEST_SEQ = (1 << 63) - 1

Since = Annotated[int | None, Query(ge=0, le=_LARGEST_SEQ, description="After the event of this `seq`; 0 is all.")]
Before = Annotated[
    int | None,
    Query(ge=0, le=_LARGEST_SEQ, description="Before the event of this `seq`, the latest first; 0 is from the latest."),
]
LastEventId = Annotated[
    str | None, Header(max_length=20, pattern="^[0-9]{1,18}$", description="Where a stream broke off.")
]


@routes.on("GET /jobs/{id}/events", "read", (views.EventPage, STREAM), refuses=(404,))
async def follow_job(
    request: Request,
    id: Id,
    since: Since = None,
    before: Before = None,
    limit: Limit = 50,
    last_event_id: LastEventId = None,
) -> Response:
    """What happened to a job, in order or (`before`) the latest first; as `text/event-stream` also from now on."""
    asked = call(request)
    await asked.job(id)
    if STREAM in request.headers.get("accept", ""):
        return _stream(request, id, since, last_event_id)
    if before is None:
        found = await asked.service.store.read(events.since, since or 0, job=id, limit=limit)
    elif since is None:
        found = await asked.service.store.read(events.before, before or None, job=id, limit=limit)
    else:
        raise RequestError("before: cannot be together with since", (("before", "cannot be together with since"),))
    more = str(found[-1].seq) if len(found) == limit else None
    return Json({"items": [event_view(event) for event in found], "next": more})


@routes.on("GET /events", "read", STREAM, refuses=(404,))
async def follow(request: Request, job: Job = None, since: Since = None, last_event_id: LastEventId = None) -> Response:
    """Follow all jobs the caller may know of.

    `job`: a whole job, on every change. `figures`: how a running job is doing, about once a second. `event`: what
    happened, with its `seq`. `missed`: this reader was too slow for so many; look at what it needs. `id:` is a `seq`,
    which Last-Event-ID takes.
    """
    if job is not None:
        await call(request).job(job)
    return _stream(request, job, since, last_event_id)


def _stream(request: Request, job: str | None, since: int | None, last: str | None) -> Response:
    state = request.app.state
    if state.streams >= MOST_STREAMS:
        raise TooMany(f"{MOST_STREAMS} streams are open; close some", 10)
    begin = int(last) if last is not None else since
    return StreamingResponse(_Stream(request, job).chunks(begin), media_type=STREAM, headers=_HEADERS)


class _Stream:
    """One reader of events, from its first to its last."""

    def __init__(self, request: Request, job: str | None) -> None:
        self._request = request
        self._state = request.app.state
        self._asked: Call = call(request)
        self._job = job
        self._mine: dict[str, bool] = {}
        self._told = 0

    async def chunks(self, begin: int | None) -> AsyncIterator[bytes]:
        self._state.streams += 1
        try:
            async with self._asked.service.subscribe(self._job) as updates:
                async for chunk in self._before(begin):
                    yield chunk
                async for chunk in self._onwards(updates):
                    yield chunk
        finally:
            self._state.streams -= 1

    async def _before(self, begin: int | None) -> AsyncIterator[bytes]:
        """What was missed since `begin`, and how the jobs it was about are."""
        read = self._asked.service.store.read
        last = await read(events.last)
        if begin is None or begin > last:
            begin = last
        yield f"retry: {_RETRY}\nid: {begin}\n\n".encode()
        changed: dict[str, None] = {}
        missed = 0
        if last - begin > _LONGEST:
            missed, begin = last - begin - _LONGEST, last - _LONGEST
            yield _chunk("missed", begin, {"count": missed})
        while page := await read(events.since, begin, job=self._job, limit=_PAGE):
            for event in page:
                begin = event.seq
                if not await self._may_see(event):
                    continue
                if event.job is not None:
                    changed[event.job] = None
                yield _chunk("event", event.seq, event_view(event))
        self._told = begin
        for id_ in tuple(changed)[-_PAGE:]:
            try:
                yield _chunk("job", begin, job_views.encode(await read(jobs.get, id_)))
            except NotFound:
                continue

    async def _onwards(self, updates: AsyncIterator[Update]) -> AsyncIterator[bytes]:
        """What happens, until the reader leaves, may follow no longer, or the server ends."""
        ended = asyncio.ensure_future(self._state.closing.wait())
        coming = asyncio.ensure_future(anext(updates, None))
        loop = asyncio.get_running_loop()
        looked = loop.time()
        try:
            while True:
                await asyncio.wait({coming, ended}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    return
                if loop.time() - looked >= BEAT:
                    looked = loop.time()
                    if not await self._still_welcome():
                        return
                if not coming.done():
                    yield b": \n\n"
                    continue
                update = coming.result()
                if update is None:
                    return
                coming = asyncio.ensure_future(anext(updates, None))
                if (chunk := self._of(update)) is not None:
                    yield chunk
        finally:
            for task in (coming, ended):
                task.cancel()
            await asyncio.gather(coming, ended, return_exceptions=True)

    def _of(self, update: Update) -> bytes | None:
        if update.kind == "event" and update.seq <= self._told:
            return None
        caller = self._asked.caller
        if update.kind != "missed" and caller.rooms and not (update.room and caller.may_enter(update.room)):
            return None
        return _chunk(update.kind, update.seq, update.data)

    async def _still_welcome(self) -> bool:
        try:
            await self._state.gate.admit(self._request, "read")
        except EgressError:
            return False
        return True

    async def _may_see(self, event: Event) -> bool:
        caller = self._asked.caller
        if not caller.rooms:
            return True
        if event.job is None:
            room = event.body.get("room")
            return isinstance(room, str) and caller.may_enter(room)
        if event.job not in self._mine:
            try:
                room = (await self._asked.service.store.read(jobs.get, event.job)).room
            except NotFound:
                return False
            self._mine[event.job] = caller.may_enter(room)
        return self._mine[event.job]


def _chunk(kind: str, seq: int | None, data: Any) -> bytes:
    """One event as a stream has it (HTML Living Standard, 9.2.5); JSON has no line ends of its own."""
    text = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    id_ = f"id: {seq}\n" if seq else ""
    return f"event: {kind}\n{id_}data: ".encode() + text + b"\n\n"
