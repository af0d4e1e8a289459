"""What is said to a job that runs: its layout, overlays and title, destinations, metadata, captions, marks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from egress.model import control
from egress.model.errors import Forbidden
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Id, body, call
from egress.web.api.routes import Endpoint, Routes

routes = Routes("jobs")


class AnyCommand(control.Command):
    """Any command, with its fields as docs/control.md has them."""

    model_config = ConfigDict(extra="allow")
    command: str = Field(description="What to do.", examples=["pin"])


async def _say(request: Request, id_: str, document: dict[str, Any]) -> dict[str, Any]:
    asked = call(request)
    await asked.job(id_)
    control.parse(json.dumps(document))
    answer = await asked.service.command(id_, document)
    return {"ok": bool(answer.get("ok", True)), "message": str(answer.get("message", ""))}


async def _told(request: Request, id_: str, command: str) -> Response:
    """Say a command whose fields are the body; the answer is the job's."""
    data = await body(request)
    fields = data if isinstance(data, dict) else {"": data}
    return Json(await _say(request, id_, {**fields, "command": command}))


def _own(what: str, made: type[control.Command], example: Any) -> Callable[[Endpoint], Endpoint]:
    """The route of a command of its own, whose body is the command's fields."""
    return routes.on(what, "start", views.Answer, takes=made, example=example, refuses=(404, 409))


@routes.on("POST /jobs/{id}/commands", "start", views.Answer, takes=AnyCommand, refuses=(404, 409),
           example={"command": "pin", "peers": ["Ada"]})  # fmt: skip
async def command_job(request: Request, id: Id) -> Response:
    """Say any command to a job. To stop it needs the scope `stop` as well."""
    data = await body(request)
    if isinstance(data, dict) and data.get("command") in ("stop", "pause", "resume"):
        _needs_stop(request)
    return Json(await _say(request, id, data if isinstance(data, dict) else {}))


@routes.on("POST /jobs/{id}/pause", "stop", views.Answer, refuses=(404, 409))
async def pause_job(request: Request, id: Id) -> Response:
    """Leave out of the recording what follows; who watches live sees a card."""
    return Json(await _say(request, id, {"command": "pause"}))


@routes.on("POST /jobs/{id}/resume", "stop", views.Answer, refuses=(404, 409))
async def resume_job(request: Request, id: Id) -> Response:
    """End a pause."""
    return Json(await _say(request, id, {"command": "resume"}))


@_own("PUT /jobs/{id}/layout", control.SetLayout, {"layout": {"kind": "speaker"}})
async def set_layout(request: Request, id: Id) -> Response:
    """Arrange peers by another layout: a document as in a pipeline, or only its kind."""
    return await _told(request, id, "layout")


@_own("PUT /jobs/{id}/theme", control.SetTheme, {"theme": "light"})
async def set_theme(request: Request, id: Id) -> Response:
    """Take other colours."""
    return await _told(request, id, "theme")


@_own("PUT /jobs/{id}/tiles", control.SetTiles, {"tiles": {"labels": False}})
async def set_tiles(request: Request, id: Id) -> Response:
    """Have tiles look otherwise."""
    return await _told(request, id, "tiles")


@_own("PUT /jobs/{id}/overlays", control.SetOverlays, {"overlays": [{"kind": "watermark", "text": "Example"}]})
async def set_overlays(request: Request, id: Id) -> Response:
    """Replace all overlays."""
    return await _told(request, id, "overlays")


@_own("PUT /jobs/{id}/title", control.SetTitle, {"text": "Questions and answers"})
async def set_title(request: Request, id: Id) -> Response:
    """Say the title; empty takes it away."""
    return await _told(request, id, "title")


@_own("POST /jobs/{id}/destinations", control.AddDestination, {"to": "rtmp://live.example.org/app/KEY", "name": "b"})
async def add_destination(request: Request, id: Id) -> Response:
    """Stream to one more address from now on."""
    return await _told(request, id, "add-destination")


@routes.on("DELETE /jobs/{id}/destinations/{name}", "start", views.Answer, refuses=(404, 409))
async def remove_destination(request: Request, id: Id, name: str) -> Response:
    """Stop streaming to an address; what else is made goes on."""
    return Json(await _say(request, id, {"command": "remove-destination", "destination": name}))


@_own("POST /jobs/{id}/metadata", control.TimedMetadata, {"payload": '{"question": 7}', "duration": "10s"})
async def send_metadata(request: Request, id: Id) -> Response:
    """Hand a text to who watches, with the picture that is seen now."""
    return await _told(request, id, "metadata")


@_own("POST /jobs/{id}/captions", control.Caption, {"text": "Good morning.", "duration": "3s"})
async def send_caption(request: Request, id: Id) -> Response:
    """Write words below the picture of who has captions on."""
    return await _told(request, id, "caption")


@_own("POST /jobs/{id}/marks", control.MarkNow, {"text": "Second half"})
async def set_mark(request: Request, id: Id) -> Response:
    """Set a chapter, and a date range of the live stream, here."""
    return await _told(request, id, "mark")


def _needs_stop(request: Request) -> None:
    caller = call(request).caller
    if not caller.may("stop"):
        raise Forbidden(f"this needs the scope stop; {caller.name} lacks it", (("command", "needs the scope stop"),))
