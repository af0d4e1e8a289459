"""What jobs made, over HTTP: lists, files with ranges, folders, and addresses that work for a while without a key."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path as File
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from egress.control import artifacts
from egress.control.artifacts import KeptArtifact
from egress.control.values import micros, rfc3339
from egress.model import registry
from egress.model.errors import DestinationError, NotFound, RequestError
from egress.model.media import SECOND
from egress.model.targets import scheme_of
from egress.model.units import duration
from egress.web import files
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Call, Cursor, Id, Job, Limit, call
from egress.web.api.links import MARK, link
from egress.web.api.routes import Routes

routes = Routes("artifacts")

LASTING = 3600
"""Seconds an address in a list works without a key."""

LONGEST = 7 * 24 * 3600
"""Seconds an address may work: the most that S3 signs for."""

_INDEX = "index.m3u8"
_TYPES = {".mkv": "video/x-matroska", ".webm": "video/webm", ".json": "application/json", ".opus": "audio/ogg"}

Token = Annotated[str | None, Query(max_length=2000, description="In the place of a key, as `url` has it.")]


class _Place:
    """Where an artifact is: a file or a folder of the output folder, or in a store."""

    def __init__(self, artifact: KeptArtifact, root: File) -> None:
        self.artifact = artifact
        self.root = root
        self.scheme = scheme_of(artifact.location)
        self.is_here = self.scheme == "file"

    @cached_property
    def path(self) -> File:
        return File(self.artifact.location.removeprefix("file://"))

    @property
    def folder(self) -> File | None:
        """The folder it is, or the one of its playlist."""
        if not self.is_here:
            return None
        if self.path.name == _INDEX:
            return self.path.parent
        return self.path if self.artifact.location.endswith("/") or self.path.is_dir() else None

    def file(self) -> File:
        """The file it is; raises NotFound. Blocks."""
        if not self.path.is_file() or not self.path.resolve().is_relative_to(self.root.resolve()):
            what = "is not on this server" if not self.path.exists() else "is no single file; look below /files/"
            raise NotFound(f"the artifact {what}", (("id", what),))
        return self.path


@routes.on("GET /jobs/{id}/artifacts", "read", views.ArtifactPage, refuses=(404,))
async def list_artifacts_of_job(request: Request, id: Id) -> Response:
    """What a job made, the first first."""
    asked = call(request)
    await asked.job(id)
    found = await asked.service.store.read(artifacts.of_job, id)
    return Json({"items": await _seen(asked, found), "next": None})


@routes.on("GET /artifacts", "read", views.ArtifactPage, refuses=(404,))
async def list_artifacts(
    request: Request,
    limit: Limit = 50,
    cursor: Cursor = None,
    job: Job = None,
    room: Annotated[str | None, Query(max_length=2000, description="Its address or its name.")] = None,
    kind: Annotated[str | None, Query(max_length=64, description="Like mp4, hls, manifest.")] = None,
) -> Response:
    """What all jobs made, the latest first."""
    asked = call(request)
    page = await asked.service.store.read(
        artifacts.page, job=job, room=room, rooms=asked.caller.rooms, kind=kind, limit=limit, after=cursor
    )
    return Json({"items": await _seen(asked, page.items), "next": page.next})


@routes.on("GET /artifacts/{id}", "read", views.ArtifactView, refuses=(404,))
async def get_artifact(request: Request, id: Id) -> Response:
    """One artifact."""
    asked = call(request)
    return Json((await _seen(asked, (await _mine(asked, id),)))[0])


@routes.on("GET /artifacts/{id}/url", "read", views.UrlView, refuses=(404, 409, 502))
async def get_artifact_url(
    request: Request,
    id: Id,
    valid: Annotated[str, Query(alias="for", max_length=20, description="How long it works, at most 168h.")] = "1h",
) -> Response:
    """An address to fetch it from without a key: of the store it is in, or of this server."""
    asked = call(request)
    seconds = _seconds(valid)
    artifact = await _mine(asked, id)
    place = _Place(artifact, asked.service.root)
    expires = micros() + seconds * 1_000_000
    if place.is_here:
        return Json({"url": await _own_url(asked, place, seconds), "expires": rfc3339(expires)})
    return Json({"url": await _signed(asked, place, seconds), "expires": rfc3339(expires)})


@routes.on("GET /artifacts/{id}/content", "read", "*/*", also={206: "*/*"},
           moves=True, linked=True, head=True, refuses=(404, 409, 416, 502))  # fmt: skip
async def get_artifact_content(request: Request, id: Id, token: Token = None) -> Response:
    """The file, whole or in ranges, to be kept under its name. One in a store is at the address the answer leads to."""
    asked = call(request)
    artifact = await _mine(asked, id)
    place = _Place(artifact, asked.service.root)
    if not place.is_here:
        return RedirectResponse(await _signed(asked, place, LASTING), 307, {"Cache-Control": "no-store"})
    path = await asked.service.store.run(place.file)
    return FileResponse(
        path, media_type=_media_type(path), filename=path.name, headers={"Cache-Control": "private, no-cache"}
    )


@routes.on("GET /artifacts/{id}/files/{path:path}", "read", "*/*",
           also={206: "*/*", 304: None}, linked=True, head=True, refuses=(404, 416))  # fmt: skip
async def get_artifact_file(
    request: Request,
    id: Id,
    path: Annotated[str, Path(max_length=2000, description="Below the folder; ~TOKEN/ may stand before it.")],
) -> Response:
    """A file of an artifact that is a folder, like HLS or thumbnails."""
    asked = call(request)
    place = _Place(await _mine(asked, id), asked.service.root)
    relative = path.partition("/")[2] if path.startswith(MARK) else path
    found = await asked.service.store.run(lambda: _within(place, relative))
    if found is None:
        raise NotFound(f"there is no file {relative[:100]!r} in this artifact", (("path", "is no file's"),))
    return files.respond(request, found, relative, {"Cache-Control": "private, no-cache"})


async def _mine(asked: Call, id_: str) -> KeptArtifact:
    """An artifact of a job the caller may know of; raises NotFound."""
    artifact = await asked.service.store.read(artifacts.get, id_)
    try:
        await asked.job(artifact.job)
    except NotFound:
        raise NotFound(f"there is no artifact {id_[:60]!r}", (("id", "is no artifact's"),)) from None
    return artifact


async def _seen(asked: Call, found: tuple[KeptArtifact, ...]) -> list[dict[str, Any]]:
    places = [_Place(artifact, asked.service.root) for artifact in found]
    open_ = await asked.gate.is_open()
    folders = await asked.service.store.run(lambda: [place.folder is not None for place in places])
    expires = None if open_ else rfc3339(micros() + LASTING * 1_000_000)
    return [
        {
            "id": place.artifact.id,
            "job": place.artifact.job,
            "kind": place.artifact.kind,
            "location": place.artifact.location,
            "size": place.artifact.size,
            "duration": place.artifact.duration_ns / SECOND,
            "sha256": place.artifact.sha256,
            "created": rfc3339(place.artifact.created),
            "url": _url(asked, place, is_folder, None if open_ else LASTING),
            "expires": expires,
            "details": place.artifact.details,
        }
        for place, is_folder in zip(places, folders, strict=True)
    ]


async def _own_url(asked: Call, place: _Place, seconds: int) -> str:
    is_folder = await asked.service.store.run(lambda: place.folder is not None)
    return _url(asked, place, is_folder, seconds)


def _url(asked: Call, place: _Place, is_folder: bool, seconds: int | None) -> str:
    """Where an artifact is fetched from us: for so many seconds without a key, where one is needed at all."""
    base = f"/api/v1/artifacts/{quote(place.artifact.id)}"
    token = None if seconds is None else link(asked.service.store.sealer, place.artifact.id, seconds)
    if is_folder:
        name = place.path.name if place.path.name == _INDEX else ""
        return f"{base}/files/{f'{MARK}{token}/' if token else ''}{name}"
    return f"{base}/content{f'?token={token}' if token else ''}"


async def _signed(asked: Call, place: _Place, seconds: int) -> str:
    """An address of the store itself; raises NotFound where it signs none, DestinationError."""
    options: Mapping[str, str] = asked.service.settings.storage_options().get(place.scheme, {})

    def sign() -> str | None:
        signed: str | None = registry.load("storages", place.scheme)(options).presign(place.artifact.location, seconds)
        return signed

    try:
        url = await asked.service.store.run(sign)
    except RequestError as error:
        # What is wrong is the installation, not this request.
        raise DestinationError(error.message) from None
    if url is None:
        what = f"is in a store ({place.scheme}) that gives no addresses; fetch it from there"
        raise NotFound(f"the artifact {what}", (("id", what),))
    return url


def _seconds(text: str) -> int:
    try:
        seconds = duration(text) // SECOND
    except ValueError as error:
        raise RequestError(f"for: {error}", (("for", str(error)),)) from None
    if not 1 <= seconds <= LONGEST:
        what = f"{text} is no time an address may work; use 1s to {LONGEST // 3600}h"
        raise RequestError(f"for: {what}", (("for", what),))
    return seconds


def _within(place: _Place, relative: str) -> files.Found | None:
    folder = place.folder
    if folder is None or not files.valid(relative) or not folder.resolve().is_relative_to(place.root.resolve()):
        return None
    return files.find(folder, relative)


def _media_type(path: File) -> str:
    known = files.MEDIA_TYPES.get(path.suffix) or _TYPES.get(path.suffix)
    return known or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
