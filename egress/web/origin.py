"""The HLS origin: serves one folder that a worker writes, and answers low-latency requests the moment they can be.

Server rules are those of draft-pantos-hls-rfc8216bis 6.2.5 (directives) and 6.2.6 (preload hints).
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from egress.web import files
from egress.web.playlist import Playlist

T = TypeVar("T")

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, Date, ETag, Last-Modified",
}
_LARGEST_PLAYLIST = 32 * 1024 * 1024
_KEPT_PLAYLISTS = 64
_GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class _Body:
    plain: bytes
    zipped: bytes

    @classmethod
    def of(cls, text: str) -> _Body:
        plain = text.encode()
        return cls(plain, gzip.compress(plain, _GZIP_LEVEL, mtime=0))


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of a playlist, rendered and compressed once for all who ask."""

    etag: str
    modified: str
    blocking: bool
    playlist: Playlist
    full: _Body
    delta: _Body | None


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = PlainTextResponse(message + "\n", status, {**CORS, "Cache-Control": "no-store"})


class Origin:
    """Serves one HLS folder (playlists, init files, segments, parts), live and afterwards.

    `announce` must be called on the event loop that serves. As long as nobody has announced anything the folder is
    served as a plain one: every request looks at the disk, nothing blocks and no playlist promises that it would.
    `max_age` is how long (seconds) media files may be cached without asking. Give it only where the address will never
    stand for other media: a segment cached for a year under an address that the next job uses again would be played
    in the place of the new one. At most `max_waiting` requests wait at a time; one more is answered 503 and counted
    in `refused`.
    """

    def __init__(self, folder: Path, *, max_age: int = 0, max_waiting: int = 10_000) -> None:
        self.folder = folder
        self.waiting = 0
        self.refused = 0
        self._max_waiting = max_waiting
        self._media_cache = f"public, max-age={max_age}, immutable" if max_age > 0 else "no-cache"
        self._announcing = False
        self._announced: set[str] = set()
        self._changes: dict[str, asyncio.Event] = {}
        self._versions: dict[str, _Version] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    def announce(self, event: Mapping[str, Any]) -> None:
        """Wake those who wait for this part or segment; events of another type or folder change nothing."""
        if event.get("type") != "hls":
            return
        folder = event.get("folder")
        if folder is not None and Path(folder).resolve() != self.folder.resolve():
            return
        self._announcing = True
        name = f"{event['rendition']}{files.PLAYLIST}"
        self._announced.add(name)
        # Playlists without announcements of their own (I-frames) change along with the others.
        for waited in tuple(self._changes):
            if waited == name or waited not in self._announced:
                self._wake(waited)

    def silence(self) -> None:
        """Nobody will announce until further notice (the worker has gone): nobody waits, nothing is promised."""
        self._announcing = False
        for name in tuple(self._changes):
            self._wake(name)

    async def serve(self, request: Request, path: str) -> Response:
        """Answer GET, HEAD or OPTIONS for a path inside the folder."""
        if request.method == "OPTIONS":
            allowed = {"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers": "Range"}
            return Response(status_code=204, headers={**CORS, **allowed, "Access-Control-Max-Age": "86400"})
        try:
            if not files.valid(path):
                raise _Refused(404, f"no such file: {path!r}")
            if path.endswith(files.PLAYLIST):
                return await self._playlist(request, path)
            found = files.find(self.folder, path) or await self._hinted(path)
        except _Refused as refusal:
            return refusal.response
        return files.respond(request, found, path, {**CORS, "Cache-Control": self._media_cache})

    async def _playlist(self, request: Request, path: str) -> Response:
        version = await self._version(path)
        if version is None:
            raise _Refused(404, f"no such playlist: {path!r}; it may not have been started yet")
        playlist = version.playlist
        if playlist.live:
            msn, part = _directive(request, "_HLS_msn"), _directive(request, "_HLS_part")
            if part is not None and msn is None:
                raise _Refused(400, "_HLS_part needs _HLS_msn beside it")
            if msn is not None and self._announcing and not playlist.holds(msn, part):
                if playlist.too_far(msn, part):
                    raise _Refused(400, f"segment {msn} is too far ahead; the playlist reaches {playlist.last}")
                version = await self._reached(path, version, msn, part)
        delta = version.delta if request.query_params.get("_HLS_skip") in ("YES", "v2") else None
        return self._rendered(request, version, delta)

    async def _reached(self, path: str, version: _Version, msn: int, part: int | None) -> _Version:
        async def look() -> _Version | None:
            newer = await self._version(path)
            if newer is None:
                raise _Refused(404, f"{path!r} has been removed")
            settled = newer.playlist.holds(msn, part) or not newer.playlist.live or not self._announcing
            return newer if settled else None

        reached = await self._wait(path, look, 3 * version.playlist.target)
        if reached is None:
            raise _Refused(503, f"segment {msn} has not come within 3 target durations")
        return reached

    async def _hinted(self, path: str) -> files.Found:
        """The file once it is whole, when a live playlist hints at it."""
        missing = _Refused(404, f"no such file: {path!r}")
        if not self._announcing:
            raise missing
        for name in sorted(p.name for p in self.folder.glob(f"*{files.PLAYLIST}")):
            version = await self._version(name)
            if version is None or not version.playlist.live or path not in version.playlist.hints:
                continue

            async def look(name: str = name) -> files.Found | None:
                # The playlist first: a part that is no longer hinted at was written before it was listed.
                newer = await self._version(name)
                found = files.find(self.folder, path)
                hinted = newer is not None and newer.playlist.live and path in newer.playlist.hints
                if found is None and not (hinted and self._announcing):
                    raise missing
                return found

            found = await self._wait(name, look, 3 * version.playlist.target)
            if found is None:
                raise _Refused(503, f"{path!r} has not come within 3 target durations")
            return found
        raise missing

    async def _wait(self, name: str, look: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
        """What `look` finds, looking again after every announcement for playlist `name`; None when time is up."""
        if self.waiting >= self._max_waiting:
            self.refused += 1
            raise _Refused(503, "too many requests are waiting here")
        deadline = asyncio.get_running_loop().time() + seconds
        self.waiting += 1
        try:
            while True:
                # Taken before looking, so that an announcement in between is not missed.
                change = self._changes.setdefault(name, asyncio.Event())
                if (found := await look()) is not None:
                    return found
                try:
                    async with asyncio.timeout_at(deadline):
                        await change.wait()
                except TimeoutError:
                    return await look()
        finally:
            self.waiting -= 1

    def _wake(self, name: str) -> None:
        self._changes.pop(name).set()

    async def _version(self, path: str) -> _Version | None:
        if (known := self._current(path)) is not None:
            return known
        if files.find(self.folder, path) is None:
            self._forget(path)
            return None
        async with self._reading.setdefault(path, asyncio.Lock()):
            if (known := self._current(path)) is None:
                known = await asyncio.to_thread(_read, self.folder, path, self._announcing)
                if known is None:
                    self._forget(path)
                    return None
                if path not in self._versions and len(self._versions) >= _KEPT_PLAYLISTS:
                    self._forget(next(iter(self._versions)))
                self._versions[path] = known
        return known

    def _forget(self, path: str) -> None:
        self._versions.pop(path, None)
        self._reading.pop(path, None)

    def _current(self, path: str) -> _Version | None:
        known = self._versions.get(path)
        if known is None or known.blocking != self._announcing:
            return None
        try:
            status = (self.folder / path).stat()
        except OSError:
            return None
        return known if known.etag == files.etag(status) else None

    def _rendered(self, request: Request, version: _Version, delta: _Body | None) -> Response:
        zipped = _takes_gzip(request.headers.get("accept-encoding", ""))
        body = delta or version.full
        kind = ("d" if delta else "f") + ("z" if zipped else "p") + ("b" if version.blocking else "s")
        etag = f'{version.etag[:-1]}-{kind}"'
        headers = {
            **CORS,
            "Cache-Control": "no-cache",
            "ETag": etag,
            "Last-Modified": version.modified,
            "Vary": "Accept-Encoding",
        }
        if files.fresh(request, etag):
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["Content-Encoding"] = "gzip"
        content = body.zipped if zipped else body.plain
        headers["Content-Length"] = str(len(content))
        shown = b"" if request.method == "HEAD" else content
        return Response(shown, headers=headers, media_type=files.MEDIA_TYPES[files.PLAYLIST])


def _read(folder: Path, path: str, blocking: bool) -> _Version | None:
    found = files.find(folder, path)
    if found is None or found.stat.st_size > _LARGEST_PLAYLIST:
        return None
    try:
        text = found.path.read_text("utf-8", errors="replace")
    except OSError:
        return None
    playlist = Playlist.read(text)
    delta = playlist.delta(blocking=blocking)
    return _Version(
        etag=files.etag(found.stat),
        modified=formatdate(found.stat.st_mtime, usegmt=True),
        blocking=blocking,
        playlist=playlist,
        full=_Body.of(playlist.text(blocking=blocking)),
        delta=None if delta is None else _Body.of(delta),
    )


def _directive(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 18):
        raise _Refused(400, f"{name} must be a whole number, not {value[:40]!r}")
    return int(value)


def _takes_gzip(accepted: str) -> bool:
    for item in accepted.lower().split(","):
        coding, _, weight = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
