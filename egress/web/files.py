"""Files of a folder that another process writes: found without leaving the folder, served whole or in ranges."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

PLAYLIST = ".m3u8"
MEDIA_TYPES: Mapping[str, str] = {
    PLAYLIST: "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".ts": "video/mp2t",
    ".vtt": "text/vtt; charset=utf-8",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""What may be served, by suffix; anything else in the folder (sidecars, temporary files) does not exist outside."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file inside the folder, as it was when looked at."""

    path: Path
    stat: os.stat_result
    cut: bool = False
    """Whether there is more of it than `stat` says, or may be by the time it is sent."""

    def up_to(self, size: int) -> Found:
        """The same file, which grows, as if it ended there."""
        if size >= self.stat.st_size:
            return replace(self, cut=True)
        # The plain tuple holds whole seconds only; what a copy is made from holds all.
        made: Any = self.stat.__reduce__()
        values, more = made[1]
        shown = (*values[: stat.ST_SIZE], size, *values[stat.ST_SIZE + 1 :])
        return Found(self.path, os.stat_result(shown, more), cut=True)


def etag(status: os.stat_result) -> str:
    """An entity tag that changes with every replacement of the file."""
    return f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'


class _File(FileResponse):
    chunk_size = 256 * 1024


def valid(relative: str) -> bool:
    """Whether a requested path may name a served file at all: no hidden names, no way up, a known suffix."""
    if "\\" in relative or "\0" in relative or len(relative) > 1024:
        return False
    names = relative.split("/")
    return all(name and not name.startswith(".") for name in names) and Path(names[-1]).suffix in MEDIA_TYPES


def find(folder: Path, relative: str) -> Found | None:
    """The file at a valid relative path, or None; a link that leads out of the folder is not followed."""
    try:
        path = (folder / relative).resolve(strict=True)
        status = path.stat()
    except (OSError, RuntimeError):
        return None
    if not stat.S_ISREG(status.st_mode) or not path.is_relative_to(folder.resolve()):
        return None
    return Found(path, status)


def media_type(relative: str) -> str:
    """The MIME type of a valid path; init segments of an `audio` folder say so."""
    suffix = Path(relative).suffix
    if suffix == ".mp4" and relative.startswith("audio"):
        return "audio/mp4"
    return MEDIA_TYPES[suffix]


def fresh(request: Request, tag: str) -> bool:
    """Whether the client's copy is still the right one (If-None-Match)."""
    known = request.headers.get("if-none-match", "")
    tags = {item.strip().removeprefix("W/") for item in known.split(",")}
    return "*" in tags or tag.removeprefix("W/") in tags


async def _beginning(found: Found) -> AsyncIterator[bytes]:
    left = found.stat.st_size
    async with await anyio.open_file(found.path, "rb") as file:
        while left and (chunk := await file.read(min(left, _File.chunk_size))):
            left -= len(chunk)
            yield chunk


def respond(request: Request, found: Found, relative: str, headers: Mapping[str, str]) -> Response:
    """The file: whole, in byte ranges, headers only, or 304 when the client has it."""
    if found.cut:
        return _growing(request, found, relative, headers)
    headers = {**headers, "ETag": etag(found.stat)}
    if fresh(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _File(found.path, headers=headers, media_type=media_type(relative), stat_result=found.stat)


def _growing(request: Request, found: Found, relative: str, headers: Mapping[str, str]) -> Response:
    """The same of a file that grows, without a validator: browsers that kept one ask by If-Range, which no longer holds
    a part later, and would be sent the whole file in the place of a segment (RFC 9110, 13.1.5)."""
    headers = {**headers, "Cache-Control": "no-store"}
    if "range" not in request.headers or "if-range" in request.headers:
        length = {"Content-Length": str(found.stat.st_size)}
        body = () if request.method == "HEAD" else _beginning(found)
        return StreamingResponse(body, headers={**headers, **length}, media_type=media_type(relative))
    response = _File(found.path, headers=headers, media_type=media_type(relative), stat_result=found.stat)
    del response.headers["ETag"], response.headers["Last-Modified"]
    return response
