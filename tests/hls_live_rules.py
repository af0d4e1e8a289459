"""Rules of a low-latency origin: blocking reloads, hints, delta updates, delivery. Needs a live presentation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.hls_findings import Findings
from tests.hls_reading import Playlist, attributes, read_playlist, read_tags

_PARTS = 4
PATIENCE = 60.0
"""Seconds for which a writer may be slow: an origin answers 503 while it waits for one in vain."""
_PLAYLIST_TYPES = ("application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl")
_MEDIA_TYPES = ("video/mp4", "audio/mp4", "video/iso.segment", "audio/iso.segment", "text/vtt")


def check_live(url: str, *, patience: float = PATIENCE) -> Findings:
    """Every server rule broken by the origin of the multivariant playlist at `url`; follows it for a few parts."""
    found = Findings()
    with httpx.Client(timeout=60.0, follow_redirects=False, headers={"Accept-Encoding": "gzip"}) as client:
        response = client.get(url)
        _delivery(found, response, url, playlist=True)
        tags = read_tags(response.text)
        uris = [attributes(value)["URI"] for name, value in tags if name == "EXT-X-MEDIA" and "URI" in value]
        uris += [value for name, value in tags if name == ""]
        for uri in dict.fromkeys(uris):
            _Follower(found, client, urljoin(url, uri), uri, patience).follow()
    return found


class _Follower:
    """Follows one media playlist the way a low-latency player does."""

    def __init__(self, found: Findings, client: httpx.Client, url: str, name: str, patience: float) -> None:
        self.found = found
        self.client = client
        self.url = url
        self.name = name
        self.patience = patience

    def follow(self) -> None:
        """Try every server rule on this playlist."""
        response = self.client.get(self.url)
        _delivery(self.found, response, self.name, playlist=True)
        self._fresh()
        playlist = read_playlist(self.url, self.client.get(self.url).text)
        self._media(playlist)
        if playlist.ended:
            self._ended()
            return
        control = attributes(playlist.value("EXT-X-SERVER-CONTROL") or "")
        blocks = control.get("CAN-BLOCK-RELOAD") == "YES"
        self.found.expect("B6.2.5b", self.name, blocks, "does not say CAN-BLOCK-RELOAD=YES")
        self._refusals(playlist)
        if blocks:
            playlist = self._parts(playlist)
            self._hint()
            self._delta(control)

    def _get(self, **directives: int | str) -> httpx.Response:
        return self._patient(self.url, params={f"_HLS_{name}": value for name, value in directives.items()})

    def _patient(self, url: str, **more: Any) -> httpx.Response:
        """The answer, once what it waits for has come."""
        end = time.monotonic() + self.patience
        while (response := self.client.get(url, **more)).status_code == 503 and time.monotonic() < end:
            time.sleep(0.1)
        return response

    def _fresh(self) -> None:
        """A playlist is young, unless whoever writes it is held up just now."""
        end, fresh = time.monotonic() + self.patience, False
        while not fresh:
            response = self.client.get(self.url)
            playlist = read_playlist(self.url, response.text)
            modified, now = response.headers.get("Last-Modified"), response.headers.get("Date")
            if not modified or not now or playlist.ended:
                return
            age = (parsedate_to_datetime(now) - parsedate_to_datetime(modified)).total_seconds()
            fresh = age <= 3 * playlist.number("EXT-X-TARGETDURATION")
            if not fresh and time.monotonic() > end:
                break
            time.sleep(0 if fresh else 0.2)
        self.found.expect("A8.24", self.name, fresh, f"{age:.0f} s old")

    def _media(self, playlist: Playlist) -> None:
        part = next((part.uri for part in playlist.growing.parts), None)
        for uri in filter(None, (playlist.growing.map, *(s.uri for s in playlist.segments[-1:]), part)):
            _delivery(self.found, self.client.get(uri), uri, playlist=False)

    def _ended(self) -> None:
        response = self._get(msn=10**6, part=3)
        ok = response.status_code == 200 and "#EXT-X-ENDLIST" in response.text
        self.found.expect("B6.2.5e", self.name, ok, f"answers {response.status_code}")

    def _refusals(self, playlist: Playlist) -> None:
        status = self._get(part=0).status_code
        self.found.expect("B6.2.5m", self.name, status == 400, f"answers {status}")
        status = self._get(msn=playlist.growing.msn + 1000).status_code
        self.found.expect("B6.2.5f", self.name, status == 400, f"answers {status}")
        status = self.client.get(urljoin(self.url, f"{playlist.growing.msn + 1000}.never.m4s")).status_code
        self.found.expect("B6.2.6", self.name, status == 404, f"an unknown part answers {status}")

    def _parts(self, playlist: Playlist) -> Playlist:
        part_target = float(attributes(playlist.value("EXT-X-PART-INF") or "").get("PART-TARGET", 1))
        arrivals: list[float] = []
        for _ in range(_PARTS):
            msn, part = playlist.growing.msn, len(playlist.growing.parts)
            response = self._get(msn=msn, part=part)
            arrivals.append(time.monotonic())
            place = f"{self.name} #{msn}.{part}"
            self.found.expect("B6.2.5b", place, response.status_code == 200, f"answers {response.status_code}")
            if response.status_code != 200:
                return playlist
            newer = read_playlist(self.url, response.text)
            came = newer.ended or newer.growing.msn > msn or len(newer.growing.parts) > part
            self.found.expect("B6.2.5b", place, came, "the answer does not hold it")
            if newer.ended:
                return newer
            self._successor(playlist, newer)
            playlist = newer
        # The first wait began in the middle of a part; from then on each answer is one part after the other.
        slowest = max((two - one for one, two in pairwise(arrivals)), default=0.0)
        self.found.expect("B6.2.1n", self.name, slowest <= 1.5 * part_target + 0.1, f"{slowest:.2f} s", should=True)
        return playlist

    def _successor(self, old: Playlist, new: Playlist) -> None:
        same = old.value("EXT-X-TARGETDURATION") == new.value("EXT-X-TARGETDURATION")
        self.found.expect("B6.2.1c", self.name, same, "the target duration has changed")
        known = {segment.msn: segment for segment in new.segments}
        first = new.segments[0].msn if new.segments else 0
        for segment in old.segments:
            if segment.msn >= first:
                later = known.get(segment.msn)
                kept = later is not None and (later.uri, later.text, later.date) == (
                    segment.uri,
                    segment.text,
                    segment.date,
                )
                self.found.expect("B6.2.1c", f"{self.name} #{segment.msn}", kept, "has changed or gone")

    def _hint(self) -> None:
        """What is hinted at comes, and is then listed; parts are for a few segments only, so who is slow asks anew."""
        end = time.monotonic() + self.patience
        while True:
            playlist = read_playlist(self.url, self.client.get(self.url).text)
            hint = next((attributes(value) for value in playlist.values("EXT-X-PRELOAD-HINT")), None)
            if playlist.ended or hint is None:
                return
            uri, start = urljoin(self.url, hint["URI"]), hint.get("BYTERANGE-START")
            msn, part = playlist.growing.msn, len(playlist.growing.parts)
            response = self._patient(uri, headers={} if start is None else {"Range": f"bytes={start}-"})
            listed = read_playlist(self.url, self._get(msn=msn, part=part).text)
            if listed.growing.msn <= msn + 1 or time.monotonic() > end:
                break
        media = response.content[4:8] in (b"moof", b"styp", b"emsg") or response.content.startswith(b"WEBVTT\n")
        ok = response.status_code == (200 if start is None else 206) and media
        self.found.expect("B6.2.6", uri, ok, f"the hinted part answers {response.status_code}")
        parts = [p for segment in (*listed.segments, listed.growing) for p in segment.parts if p.uri == uri]
        if start is not None:
            parts = [p for p in parts if p.range is not None and p.range[0] == int(start)]
            whole = all(p.range is not None and p.range[1] == len(response.content) for p in parts)
            self.found.expect("B6.2.6", uri, whole, f"{len(response.content)} bytes from {start} are not the part")
        self.found.expect("B6.2.6", uri, bool(parts) or listed.ended, "the hinted part is never listed")

    def _delta(self, control: Mapping[str, str]) -> None:
        until = float(control.get("CAN-SKIP-UNTIL", 0))
        full = read_playlist(self.url, self.client.get(self.url).text)
        if not until or full.ended or full.duration <= until + full.number("EXT-X-TARGETDURATION"):
            return
        delta = read_playlist(self.url, self._get(skip="YES").text)
        skipped = int(attributes(delta.value("EXT-X-SKIP") or "").get("SKIPPED-SEGMENTS", 0))
        self.found.expect("B6.2.5s", self.name, skipped > 0, "skips nothing")
        self.found.expect("B6.2.5s", self.name, delta.number("EXT-X-VERSION") >= 9, "EXT-X-SKIP needs version 9")
        left = {(segment.uri, segment.offset): segment.text for segment in delta.segments}
        same = all(left.get((s.uri, s.offset), s.text) == s.text for s in full.segments[skipped:])
        self.found.expect("B6.2.5s", self.name, same, "what is left differs from the full playlist")
        kept = sum(segment.duration for segment in delta.segments)
        self.found.expect("B6.2.5s", self.name, kept >= until - 0.01, f"only {kept:.1f} s are left, {until} s needed")


def _delivery(found: Findings, response: httpx.Response, where: str, *, playlist: bool) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    found.expect("A8.18", where, not response.is_redirect, "is redirected")
    found.expect("B6.2.1r", where, response.status_code == 200, f"answers {response.status_code}")
    found.expect("A10.4", where, kind in (_PLAYLIST_TYPES if playlist else _MEDIA_TYPES), f"is sent as {kind!r}")
    if playlist:
        zipped = response.headers.get("Content-Encoding") == "gzip"
        found.expect("A10.1", where, zipped, "is not compressed")
