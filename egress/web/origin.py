"""The HLS origin: serves one folder that a worker writes, and answers low-latency requests the moment they can be.

Server rules are those of draft-pantos-hls-rfc8216bis 6.2.5 (directives) and 6.2.6 (preload hints).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from egress.web import files
from egress.web.playlist import DateRanges, Reached
from egress.web.ready import LARGEST, Memory, Ready
from egress.web.version import CORS, Rendering, Version, read

T = TypeVar("T")

_KEPT_PLAYLISTS = 64


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
        self._for_good = max_age > 0
        self._media_cache = f"public, max-age={max_age}, immutable" if max_age > 0 else "no-cache"
        self._announcing = False
        self._announced: dict[str, tuple[int, int]] = {}
        self._memory = Memory()
        self._ranges: dict[str, DateRanges] = {}
        self._changes: dict[str, asyncio.Event] = {}
        self._versions: dict[str, Version] = {}
        self._reading: dict[str, asyncio.Task[Any]] = {}

    def announce(self, event: Mapping[str, Any]) -> None:
        """Wake those who wait for this part or segment; events of another type or folder change nothing."""
        if event.get("type") != "hls":
            return
        folder = event.get("folder")
        if folder is not None and Path(folder).resolve() != self.folder.resolve():
            return
        self._announcing = True
        name = f"{event['rendition']}{files.PLAYLIST}"
        self._announced[name] = (event["msn"], event["part"] or 0)
        # Playlists without announcements of their own (I-frames) change along with the others.
        for waited in tuple(self._changes):
            if waited == name or waited not in self._announced:
                self._wake(waited)

    def silence(self) -> None:
        """Nobody will announce until further notice (the worker has gone): nobody waits, nothing is promised."""
        self._announcing = False
        for name in tuple(self._changes):
            self._wake(name)

    async def serve(self, request: Request, path: str) -> ASGIApp:
        """The answer to GET, HEAD or OPTIONS for a path inside the folder."""
        if request.method == "OPTIONS":
            allowed = {"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers": "Range"}
            return Response(status_code=204, headers={**CORS, **allowed, "Access-Control-Max-Age": "86400"})
        try:
            if not files.valid(path):
                raise _Refused(404, f"no such file: {path!r}")
            if path.endswith(files.PLAYLIST):
                return await self._playlist(request, path)
            return await self._file(request, path)
        except _Refused as refusal:
            return refusal.response

    async def _file(self, request: Request, path: str) -> ASGIApp:
        growing = self._growing(path)
        if growing is None and "range" not in request.headers and (known := self._kept(path)) is not None:
            return known
        if growing is not None:
            return await self._grown(request, path, *growing)
        found = files.find(self.folder, path) or await self._hinted(path)
        headers = {**CORS, "Cache-Control": self._media_cache}
        if found.stat.st_size > LARGEST or "range" in request.headers:
            return files.respond(request, found, path, headers)
        read = asyncio.to_thread(found.path.read_bytes)
        body = await self._once(f"file {path}", read)
        if len(body) != found.stat.st_size:
            return files.respond(request, found.up_to(found.stat.st_size), path, headers)
        answer = Ready(200, {**headers, "Content-Type": files.media_type(path)}, body, tag=files.etag(found.stat))
        self._memory.keep(path, answer)
        return answer

    def _kept(self, path: str) -> Ready | None:
        try:
            return self._memory.get(path, files.etag(os.stat(f"{self.folder}/{path}")))  # noqa: PTH116
        except OSError:
            self._memory.forget(path)
            return None

    def _growing(self, path: str) -> tuple[str, int] | None:
        """The playlist that hints at the next bytes of a file there is, and where they begin."""
        for name, version in self._versions.items():
            start = version.playlist.hints.get(path, 0)
            if start and version.playlist.live:
                return name, start
        return None

    async def _grown(self, request: Request, path: str, name: str, start: int) -> ASGIApp:
        """A file that grows, as far as it is listed; who asks for the hinted bytes gets them once they are."""
        version = await self._version(name)
        listed = version.playlist.hints.get(path) if version is not None and version.playlist.live else None
        if listed is not None and request.headers.get("range", "").startswith(f"bytes={listed}-") and self._announcing:

            async def look() -> int | None:
                newer = await self._version(name)
                hints = newer.playlist.hints if newer is not None and newer.playlist.live else {}
                return None if hints.get(path) == listed and self._announcing else hints.get(path, -1)

            if (listed := await self._wait(name, look, 3 * version.playlist.target)) is None:  # type: ignore[union-attr]
                raise _Refused(503, f"the hinted bytes of {path!r} have not come within 3 target durations")
        found = files.find(self.folder, path)
        if found is None:
            raise _Refused(404, f"no such file: {path!r}")
        if listed is not None:
            found = found.up_to(listed if listed >= 0 else found.stat.st_size)
        return files.respond(request, found, path, {**CORS, "Cache-Control": "no-cache"})

    async def _playlist(self, request: Request, path: str) -> ASGIApp:
        version = await self._version(path)
        if version is None:
            raise _Refused(404, f"no such playlist: {path!r}; it may not have been started yet")
        playlist, waited = version.playlist, False
        asked = request.query_params if request.scope["query_string"] else {}
        if playlist.live and asked:
            msn, part = _directive(asked, "_HLS_msn"), _directive(asked, "_HLS_part")
            if part is not None and msn is None:
                raise _Refused(400, "_HLS_part needs _HLS_msn beside it")
            if msn is not None and self._announcing:
                waited = True
                if not playlist.holds(msn, part):
                    if playlist.too_far(msn, part):
                        raise _Refused(400, f"segment {msn} is too far ahead; the playlist reaches {playlist.last}")
                    version = await self._reached(path, version, msn, part)
        skip = asked.get("_HLS_skip")
        bodies = (version.ranges_too if skip == "v2" else version.delta if skip == "YES" else None) or version.full
        zipped = _takes_gzip(request.headers.get("accept-encoding", ""))
        return bodies.answer(zipped=zipped, waited=waited and self._announcing)

    async def _reached(self, path: str, version: Version, msn: int, part: int | None) -> Version:
        async def look() -> Version | None:
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

    async def _version(self, path: str) -> Version | None:
        if (known := self._current(path)) is not None:
            return known
        if files.find(self.folder, path) is None:
            self._forget(path)
            return None
        made = await self._once(path, self._read(path))
        if made is None:
            self._forget(path)
        return made

    async def _once(self, what: str, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, done once for everybody who asks meanwhile."""
        task: asyncio.Task[T] | None = self._reading.get(what)
        if task is None:
            task = self._reading[what] = asyncio.create_task(work, name=f"read {what}")
            task.add_done_callback(lambda _: self._reading.pop(what, None))
        else:
            work.close()
        return await asyncio.shield(task)

    async def _read(self, path: str) -> Version | None:
        blocking, reached = self._announcing, self._others(path)
        there = await asyncio.to_thread(read, self.folder, path)
        if there is None:
            return None
        found, playlist = there
        ranges = self._ranges.setdefault(path, DateRanges())
        skip = ranges.skip(playlist, asyncio.get_running_loop().time())
        render = Rendering(found, blocking, self._for_good)
        made = await asyncio.to_thread(render.version, playlist.reporting(reached), skip)
        if path not in self._versions and len(self._versions) >= _KEPT_PLAYLISTS:
            self._forget(next(iter(self._versions)))
        self._versions[path] = made
        return made

    def _others(self, path: str) -> Reached:
        """How far other playlists of the same folder have been announced to reach."""
        return {name: at for name, at in self._announced.items() if name != path} if self._announcing else {}

    def _forget(self, path: str) -> None:
        self._versions.pop(path, None)
        self._ranges.pop(path, None)

    def _current(self, path: str) -> Version | None:
        known = self._versions.get(path)
        if known is None or known.blocking != self._announcing:
            return None
        try:
            status = os.stat(f"{self.folder}/{path}")  # noqa: PTH116
        except OSError:
            return None
        if known.etag != files.etag(status):
            return None
        reports = known.playlist.reports if known.playlist.live and self._announcing else {}
        return None if any(self._announced.get(uri, told) > told for uri, told in reports.items()) else known


def _directive(asked: Mapping[str, str], name: str) -> int | None:
    value = asked.get(name)
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
