"""One call of the API: who asks the service what, and the parameters and bodies that all nouns share."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query
from starlette.requests import ClientDisconnect, Request

from egress.control import job_views, jobs
from egress.control.jobs import KeptJob
from egress.control.pipelines_kept import RESERVED
from egress.control.service import Service
from egress.model.errors import Forbidden, RequestError
from egress.model.request import Caller
from egress.serving import bounded_body
from egress.web.answers import TooLarge, Unsupported
from egress.web.auth import Gate
from egress.web.limits import LARGEST_BODY

PREFIX = "/api/v1"

Id = Annotated[str, Path(max_length=100, description="As the list says it.")]
Name = Annotated[str, Path(max_length=100, description="As the list says it.")]
PipelineName = Annotated[
    str, Path(max_length=100, description="As the list says it.", json_schema_extra={"not": {"enum": [*RESERVED]}})
]
Limit = Annotated[int, Query(ge=1, le=200, description="How many items a page may have.")]
Cursor = Annotated[str | None, Query(max_length=500, description="Where to go on: `next` of the page before.")]
Version = Annotated[
    int | None, Query(ge=0, le=(1 << 31) - 1, description="Only if it still is this one; 0: only if there is none.")
]
Job = Annotated[str | None, Query(max_length=100, description="Of this job only.")]

DEEPEST = 64
"""Levels a body may be nested in: far more than any document has, far fewer than the interpreter can follow."""

BODY_WITHIN = 30.0
"""Seconds a body may take to come."""

_JSON = ("application/json", "text/json")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in."""

    service: Service
    caller: Caller
    gate: Gate

    async def job(self, id_: str) -> KeptJob:
        """A job the caller may know of; raises NotFound, also where its room is not the caller's."""
        job = await self.service.store.read(jobs.get, id_)
        if self.caller.rooms and not self.caller.may_enter(job.room):
            raise jobs.missing(id_)
        return job

    async def seen(self, id_: str) -> bytes:
        """A job as JSON."""
        return job_views.encode(await self.job(id_))


def call(request: Request) -> Call:
    """The call a request makes."""
    made: Call = request.state.call
    return made


def everywhere(asked: Call) -> None:
    """Refuse a caller that is kept to some rooms what is about all of them; raises Forbidden."""
    if asked.caller.rooms:
        raise Forbidden("this is about all rooms; your key or token is for some", (("Authorization", "is for some"),))


async def body(request: Request, *, optional: bool = False) -> Any:
    """The JSON a request brings; {} where it may bring none. Raises RequestError."""
    text = await raw(request, _JSON)
    if optional and not text:
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError("the body is not JSON", (("", "is not JSON; write one object with its fields"),)) from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _is_deeper(said, DEEPEST):
        raise RequestError("the body is too deep", (("", f"is nested in more than {DEEPEST} levels"),))
    return said


async def raw(request: Request, kinds: tuple[str, ...]) -> bytes:
    """The body of a request, which must be of one of these types; raises RequestError."""
    try:
        async with asyncio.timeout(BODY_WITHIN):
            content = await bounded_body(request, LARGEST_BODY)
    except TimeoutError:
        raise RequestError(f"the body did not arrive within {BODY_WITHIN:g} s") from None
    except ClientDisconnect:
        raise RequestError("the request was cut off") from None
    if content is None:
        raise TooLarge(f"the body is longer than {LARGEST_BODY >> 10} KiB")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content and kind not in kinds:
        # Without this the page of any site could have a browser post here, as it may with forms.
        raise Unsupported(f"the body must be {' or '.join(kinds)}", (("Content-Type", f"must be {kinds[0]}"),))
    return content


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are in each other more than so many times."""
    here = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        inside = (inner for one in here for inner in (one.values() if isinstance(one, dict) else one))
        here = [inner for inner in inside if isinstance(inner, dict | list)]
    return bool(here)
