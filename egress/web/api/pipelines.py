"""Pipelines over HTTP: those that come with Egress, and users' own beside them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from egress import pipelines as shipped
from egress.control import pipelines_kept
from egress.control.pipelines_kept import KeptPipeline
from egress.control.values import cursor as cursor_of
from egress.control.values import read_cursor
from egress.model import checking
from egress.model.errors import Conflict, Forbidden, NotFound, RequestError
from egress.model.look_images import resolve_images
from egress.model.pipeline import Pipeline
from egress.model.problems import refuse
from egress.model.providers import cautions
from egress.model.schema import schema_text
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Call, Cursor, Limit, PipelineName, Version, call, everywhere, raw
from egress.web.api.redaction import is_redacted, redacted
from egress.web.api.routes import Routes

routes = Routes("pipelines")

KINDS = ("application/yaml", "application/x-yaml", "text/yaml", "text/plain", "application/json")
_TEXTS = dict.fromkeys(KINDS)
_EXAMPLE = """name: my-recording
about: A grid in an MP4.
sinks:
  - {kind: mp4, to: "recordings/{room}-{started}.mp4"}
"""


@routes.on("GET /pipelines", "read", views.PipelinePage)
async def list_pipelines(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Pipelines by name, one's own and those of Egress."""
    asked = call(request)
    own = await asked.service.store.read(pipelines_kept.all_pipelines)
    items = {one.name: _item(one) for one in own}
    items |= {name: {"name": name, "about": about, "own": False, "version": None} for name, about in _shipped().items()}
    after = read_cursor(cursor, str)[0] if cursor is not None else ""
    names = sorted(name for name in items if name > after)
    more = cursor_of(names[limit - 1]) if len(names) > limit else None
    return Json({"items": [items[name] for name in names[:limit]], "next": more})


@routes.on("GET /pipelines/schema", "read", "application/json")
async def get_schema(request: Request) -> Response:
    """The JSON schema of a pipeline, for editors."""
    return Json(schema_text().encode())


@routes.on("POST /pipelines/check", "read", views.CheckView, takes=_TEXTS, example=_EXAMPLE)
async def check_pipeline(request: Request) -> Response:
    """Everything that is wrong with a pipeline, and what platforms it streams to may not like."""
    asked = call(request)
    text = _text(await raw(request, KINDS))
    return Json(await asked.service.store.run(lambda: _checked(asked, text)))


@routes.on("GET /pipelines/{name}", "read", views.PipelineView, refuses=(404,))
async def get_pipeline(
    request: Request,
    name: PipelineName,
    secrets: Annotated[bool, Query(description="With stream keys; needs the scope admin.")] = False,
) -> Response:
    """One pipeline, stream keys and the like left out."""
    asked = call(request)
    if secrets and not asked.caller.may("admin"):
        raise Forbidden("secrets need the scope admin", (("secrets", "needs the scope admin"),))
    try:
        kept = await asked.service.store.read(pipelines_kept.get, name)
        text = await asked.service.store.read(pipelines_kept.text, asked.service.store.sealer, name)
    except NotFound:
        if name not in shipped.names():
            raise
        text = shipped.find(name).read_text("utf-8")
        return Json({"name": name, "about": _shipped()[name], "own": False, "version": None, "document": text})
    return Json(_item(kept) | {"document": text if secrets else redacted(text)})


@routes.on("PUT /pipelines/{name}", "admin", views.PipelineItem, also={201: views.PipelineItem}, takes=_TEXTS,
           example=_EXAMPLE, refuses=(404, 409))  # fmt: skip
async def put_pipeline(request: Request, name: PipelineName, version: Version = None) -> Response:
    """Keep a pipeline under its name, in place of the one that has it."""
    asked = call(request)
    everywhere(asked)
    text = _text(await raw(request, KINDS))
    if is_redacted(text):
        what = "holds an address without its secret part; write it whole"
        raise RequestError(f"sinks: {what}", (("sinks", what),))
    store = asked.service.store
    kept, is_first = await store.write(pipelines_kept.put, store.sealer, name, text, version=version)
    return Json(_item(kept), 201 if is_first else 200)


@routes.on("DELETE /pipelines/{name}", "admin", status=204, refuses=(404, 409))
async def delete_pipeline(request: Request, name: PipelineName) -> Response:
    """Forget a pipeline of one's own; jobs that were made of it go on."""
    asked = call(request)
    everywhere(asked)
    if name in shipped.names():
        raise Conflict(f"{name!r} is a pipeline of Egress itself and stays", (("name", "is not your own"),))
    await asked.service.store.write(pipelines_kept.remove, name)
    return Response(status_code=204)


@routes.on("GET /pipelines/{name}/preview", "read", "image/png", refuses=(404,))
async def preview_pipeline(
    request: Request,
    name: PipelineName,
    participants: Annotated[int, Query(ge=0, le=25, description="Made-up people in it.")] = 4,
    layout: Annotated[str | None, Query(max_length=32, pattern="^[a-z0-9-]+$")] = None,
    theme: Annotated[str | None, Query(pattern="^(dark|light)$", description="dark or light.")] = None,
    width: Annotated[int, Query(ge=160, le=1280, description="Of the picture; the height follows.")] = 640,
) -> Response:
    """What a pipeline looks like, without any room."""
    asked = call(request)
    store = asked.service.store
    pipeline = await store.read(pipelines_kept.load, store.sealer, name)
    assets = shipped.folder() if name in shipped.names() else asked.service.settings.assets
    _, missing = await asyncio.to_thread(resolve_images, pipeline, "", [assets] if assets else [])
    if missing:
        raise refuse(f"pipeline {name!r}", missing)
    path = await request.app.state.previews.picture(
        pipeline, assets, participants=participants, layout=layout, theme=theme, width=width
    )
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


def _item(kept: KeptPipeline) -> dict[str, Any]:
    return {"name": kept.name, "about": kept.about, "own": True, "version": kept.version}


def _shipped() -> dict[str, str]:
    """What each of our own is about."""
    if not _ABOUTS:
        _ABOUTS.update({name: shipped.load(name).about for name in shipped.names()})
    return _ABOUTS


_ABOUTS: dict[str, str] = {}


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError("the body is not UTF-8", (("", "is not UTF-8; save it as UTF-8"),)) from None


def _checked(asked: Call, text: str) -> dict[str, Any]:
    try:
        pipeline = checking.read(text, "the pipeline")
    except RequestError as error:
        return {"ok": False, "name": None, "problems": [_problem(*one) for one in error.problems], "warnings": []}
    return {"ok": True, "name": pipeline.name, "problems": [], "warnings": _warnings(asked, pipeline)}


def _warnings(asked: Call, pipeline: Pipeline) -> list[str]:
    assets = asked.service.settings.assets
    _, missing = resolve_images(pipeline, "", [assets] if assets else [])
    taken = "" if pipeline.name not in shipped.names() else f"{pipeline.name!r} is a pipeline of Egress itself"
    return [*cautions(pipeline), *(str(problem) for problem in missing), *filter(None, [taken])]


def _problem(field: str, message: str) -> dict[str, Any]:
    """A problem with its line, which the message says at its end."""
    about, found, line = message.rpartition(" (line ")
    if found and line.endswith(")") and line[:-1].isdecimal():
        return {"field": field, "message": about, "line": int(line[:-1])}
    return {"field": field, "message": message, "line": None}
