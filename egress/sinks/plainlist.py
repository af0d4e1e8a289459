"""Playlists as a store can serve them: without what only a server that waits can keep, and with the files they name."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from egress.model.media import SECOND, Nanos

_LIVE_ONLY = (
    *("#EXT-X-PART:", "#EXT-X-PART-INF:", "#EXT-X-SERVER-CONTROL:", "#EXT-X-PRELOAD-HINT:"),
    *("#EXT-X-RENDITION-REPORT:", "#EXT-X-SKIP:"),
)
"""Tags of low latency: parts come and go within seconds, and a store answers no request late."""

_OF_SEGMENT = ("#EXTINF:", "#EXT-X-BYTERANGE:", "#EXT-X-GAP", "#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-DISCONTINUITY\n")
"""Tags that belong to the segment that follows them (RFC 8216, 4.3.2)."""

_URI = re.compile(r'[:,]URI="([^"]*)"')


@dataclass(frozen=True, slots=True)
class PlainList:
    """One playlist for a store: its text, the files it names (paths in the presentation's folder), how long it lasts.

    `playlists` are those a multivariant playlist names; a media playlist has `files`.
    """

    name: str
    text: str
    files: frozenset[str]
    playlists: frozenset[str]
    length: Nanos
    ended: bool

    @classmethod
    def of(cls, name: str, text: str) -> PlainList:
        """Take a playlist as it is served from a folder; `name` is its path there."""
        if "#EXT-X-STREAM-INF:" in text:
            return cls(name, text, frozenset(), frozenset(_named(name, text.splitlines())), 0, False)
        kept: list[str] = []
        waiting: list[str] = []
        named: set[str] = set()
        length: Nanos = 0
        for line in text.splitlines():
            if line.startswith(_LIVE_ONLY):
                continue
            if f"{line}\n".startswith(_OF_SEGMENT) or (waiting and line.startswith("#EXT-X-MAP:")):
                waiting.append(line)
                continue
            if line and not line.startswith("#"):
                # What belongs to a segment that is not whole yet stays behind with it.
                kept += waiting
                named.update(_named(name, [tag for tag in waiting if tag.startswith("#EXT-X-MAP:")]))
                if "#EXT-X-GAP" not in waiting:
                    named.add(_path(name, line))
                length += sum(_duration(tag) for tag in waiting)
                waiting = []
            elif line.startswith("#EXT-X-MAP:"):
                named.update(_named(name, [line]))
            kept.append(line)
        return cls(name, "\n".join(kept) + "\n", frozenset(named), frozenset(), length, "#EXT-X-ENDLIST" in kept)


def _named(name: str, lines: list[str]) -> list[str]:
    found = [_path(name, line) for line in lines if line and not line.startswith("#")]
    return found + [_path(name, uri) for line in lines for uri in _URI.findall(line) if line.startswith("#")]


def _path(name: str, uri: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), uri))


def _duration(tag: str) -> Nanos:
    return round(float(tag[8:].partition(",")[0]) * SECOND) if tag.startswith("#EXTINF:") else 0
