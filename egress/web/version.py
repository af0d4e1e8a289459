"""Versions of a playlist: each read, rendered and compressed once, for all who ask for it."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from egress.web import files
from egress.web.playlist import Playlist, Skip
from egress.web.ready import Ready

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, Date, ETag, Last-Modified",
}

_LARGEST = 32 * 1024 * 1024
_GZIP_LEVEL = 1
_KEPT_TARGETS = 6
"""Target durations an answer to a blocking reload may be cached for where its address is never used again: what it was
asked for stands in it for good, and who asks for it later wants something newer (Apple, "Enabling Low-Latency HLS")."""

_SHORTLY = 1
"""Seconds it may be cached for elsewhere: long enough for a cache in front to answer everybody who waits at once."""


@dataclass(frozen=True, slots=True)
class Bodies:
    """One text as it is sent: plain and compressed, to who asked for what is there and to who waited for it."""

    answers: Mapping[tuple[bool, bool], Ready]

    def answer(self, *, zipped: bool, waited: bool) -> Ready:
        """The one to send."""
        return self.answers[zipped, waited]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a playlist, rendered and compressed once for all who ask."""

    etag: str
    blocking: bool
    playlist: Playlist
    full: Bodies
    delta: Bodies | None
    ranges_too: Bodies | None


@dataclass(frozen=True, slots=True)
class Rendering:
    """How one version of a playlist is made into answers.

    `blocking`: reloads that wait are answered; `for_good`: its address will never stand for another stream.
    """

    found: files.Found
    blocking: bool
    for_good: bool

    def version(self, playlist: Playlist, skip: Skip) -> Version:
        """All its answers; takes as long as its size takes, so not on the event loop."""
        delta = playlist.delta(blocking=self.blocking)
        ranges = playlist.delta(blocking=self.blocking, skip=skip) if delta is not None else None
        return Version(
            etag=files.etag(self.found.stat),
            blocking=self.blocking,
            playlist=playlist,
            full=self._bodies(playlist.text(blocking=self.blocking), playlist),
            delta=None if delta is None else self._bodies(delta, playlist),
            ranges_too=None if ranges is None else self._bodies(ranges, playlist),
        )

    def _bodies(self, text: str, playlist: Playlist) -> Bodies:
        plain = text.encode()
        zipped = gzip.compress(plain, _GZIP_LEVEL, mtime=0)
        seconds = _KEPT_TARGETS * playlist.target if self.for_good else _SHORTLY
        common = {
            **CORS,
            "Content-Type": files.MEDIA_TYPES[files.PLAYLIST],
            "Last-Modified": formatdate(self.found.stat.st_mtime, usegmt=True),
            "Vary": "Accept-Encoding",
        }
        answers = {}
        for body, packed in ((plain, False), (zipped, True)):
            tag = f'"{hashlib.blake2s(body, digest_size=8).hexdigest()}"'
            coding = {"Content-Encoding": "gzip"} if packed else {}
            for waited, cache in ((False, "no-cache"), (True, f"public, max-age={seconds}")):
                answers[packed, waited] = Ready(200, {**common, **coding, "Cache-Control": cache}, body, tag=tag)
        return Bodies(answers)


def read(folder: Path, path: str) -> tuple[files.Found, Playlist] | None:
    """A playlist as it is on disk; None when there is none, or far too large a one. Blocks."""
    found = files.find(folder, path)
    if found is None or found.stat.st_size > _LARGEST:
        return None
    try:
        return found, Playlist.read(found.path.read_text("utf-8", errors="replace"))
    except OSError:
        return None
