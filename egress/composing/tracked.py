"""Tracks that a job kept, as footage: by its manifest, or by the tracks.json of one folder alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType

from egress.composing.footage import Clip, Footage, Happening, Sync
from egress.model.manifest import Manifest, Span
from egress.model.media import SECOND, Nanos
from egress.model.room import (
    ConnectionLost,
    ConnectionRestored,
    Peer,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    RoomEvent,
    Track,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from egress.model.trackfiles import StreamRow, TrackFiles

TOGETHER: Nanos = SECOND
"""Files that end this much before the last one end with it: a job's end reaches each track at its own frame."""

_RANKS: tuple[type, ...] = (
    TrackUnpublished,
    PeerLeft,
    ConnectionRestored,
    PeerJoined,
    PeerChanged,
    TrackPublished,
    TrackMuted,
    ConnectionLost,
)
"""What happened at one moment is told in this order."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one attempt of a job kept, and where; `since`: the job's time of its session time 0."""

    document: TrackFiles
    folder: Path
    since: Nanos = 0

    def track(self, id: str) -> str:
        """A track's id among those of all attempts: senders may use one again."""
        return id if self.document.attempt == 1 else f"{self.document.attempt}/{id}"


def alone(kept: Kept) -> Footage:
    """Footage of a folder's tracks.json: who was there is known by the files alone."""
    document, clips = kept.document, _clips((kept,))
    happenings: list[Happening] = []
    length = max((round(row.end * SECOND) for row in document.files), default=0)
    peers: dict[str, tuple[Peer, Nanos, Nanos]] = {}
    for row in document.files:
        peer = Peer(row.peer.id, row.peer.name, row.peer.role)
        _, start, end = peers.get(peer.id, (peer, length, 0))
        peers[peer.id] = (peer, min(start, round(row.start * SECOND)), max(end, round(row.end * SECOND)))
    for peer, start, end in peers.values():
        happenings.append((start, PeerJoined(peer)))
        if end < length - TOGETHER:
            happenings.append((end, PeerLeft(peer.id)))
    seen: dict[str, Track] = {}
    for row in document.files:
        for stream in row.streams:
            track = Track(kept.track(stream.track), row.peer.id, stream.kind, stream.source, stream.codec)
            if track.id not in seen:
                seen[track.id] = track
                happenings.append((clips[track.id][0].start, TrackPublished(track)))
                end = clips[track.id][-1].end
                if end < length - TOGETHER and end < peers[track.peer][2] - TOGETHER:
                    happenings.append((end, TrackUnpublished(track.id)))
            happenings += _mutes(track.id, ((_nanos(s.since), _nanos(s.to)) for s in stream.muted))
    started = datetime.fromisoformat(document.started)
    return Footage(document.title, document.room, started, length, _ordered(happenings), MappingProxyType(clips))


def together(manifest: Manifest, kept: Sequence[Kept]) -> Footage:
    """Footage of a job by its manifest, of all its attempts, with its pauses and the time between attempts cut out."""
    length = round(manifest.duration * SECOND) or max(clip.end for found in _clips(kept).values() for clip in found)
    happenings: list[Happening] = []
    for visit in manifest.peers:
        roles = visit.roles or ()
        first = roles[0].role if roles else visit.role
        happenings.append((_nanos(visit.joined) or 0, PeerJoined(Peer(visit.id, visit.name, first))))
        happenings += [(_nanos(r.since) or 0, PeerChanged(Peer(visit.id, visit.name, r.role))) for r in roles[1:]]
        if visit.left is not None:
            happenings.append((round(visit.left * SECOND), PeerLeft(visit.id)))
    for row in manifest.tracks:
        published = round(row.published * SECOND)
        attempt = max((one for one in kept if one.since <= published), key=lambda one: one.since, default=kept[0])
        track = attempt.track(row.id)
        happenings.append((published, TrackPublished(Track(track, row.peer, row.kind, row.source, row.codec))))
        if row.unpublished is not None:
            happenings.append((round(row.unpublished * SECOND), TrackUnpublished(track)))
        happenings += _mutes(track, ((_nanos(s.since), _nanos(s.to)) for s in row.muted))
    cuts = [_span(span, length) for span in manifest.pauses]
    begins = {one.since for one in kept if one.since}
    for gap in manifest.gaps:
        begin, end = _span(gap, length)
        if end in begins:
            cuts.append((begin, end))
        else:
            happenings += [(begin, ConnectionLost(gap.reason or "")), (end, ConnectionRestored())]
    started = datetime.fromisoformat(manifest.started)
    whole = Footage(
        manifest.title, manifest.room, started, length, _ordered(happenings), MappingProxyType(_clips(kept))
    )
    return whole.without(cuts)


def since(manifest: Manifest, document: TrackFiles) -> Nanos:
    """The job's time of an attempt's session time 0."""
    if document.attempt == 1:
        return 0
    by_dates = datetime.fromisoformat(document.started) - datetime.fromisoformat(manifest.started)
    at = by_dates // timedelta(microseconds=1) * 1000
    # The manifest says it by the monotonic clock: where the gap before the attempt ends.
    ends = [round(gap.to * SECOND) for gap in manifest.gaps if gap.to is not None]
    return min((end for end in ends if abs(end - at) < 10 * SECOND), key=lambda end: abs(end - at), default=max(0, at))


def _clips(kept: Iterable[Kept]) -> dict[str, tuple[Clip, ...]]:
    found: dict[str, list[Clip]] = {}
    for attempt in kept:
        for row in attempt.document.files:
            counts = {"audio": 0, "video": 0}
            for stream in row.streams:
                number, counts[stream.kind] = counts[stream.kind], counts[stream.kind] + 1
                start, end = (attempt.since + round(at * SECOND) for at in (row.start, row.end))
                turns = tuple((round(turn.at * SECOND), int(turn.degrees)) for turn in stream.turns)
                sync = _sync(stream, row.start).moved(attempt.since)
                lasting = len(row.streams) == 1
                clip = Clip(attempt.folder / row.name, stream.kind, number, sync, start, end, turns, lasting)
                found.setdefault(attempt.track(stream.track), []).append(clip)
    return {track: _adjoined(clips) for track, clips in found.items()}


def _adjoined(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """Clips of one track in order of time."""
    return tuple(sorted(clips, key=lambda clip: clip.start))


def _sync(stream: StreamRow, start: float) -> Sync:
    points: list[tuple[Nanos, Nanos]] = []
    for file, session in stream.sync or ((0.0, start),):
        point = (round(file * SECOND), round(session * SECOND))
        if not points or (point[0] > points[-1][0] and point[1] > points[-1][1]):
            points.append(point)
    return Sync(tuple(points))


def _mutes(track: str, spans: Iterable[tuple[Nanos | None, Nanos | None]]) -> Iterator[Happening]:
    for begin, end in spans:
        yield begin or 0, TrackMuted(track, True)
        if end is not None:
            yield end, TrackMuted(track, False)


def _ordered(happenings: Iterable[tuple[Nanos, RoomEvent]]) -> tuple[Happening, ...]:
    """By time; at one moment what ends comes before what begins."""
    ranked = sorted(((at, _RANKS.index(type(event)), event) for at, event in happenings), key=itemgetter(0, 1))
    return tuple((at, event) for at, _, event in ranked)


def _span(span: Span, length: Nanos) -> tuple[Nanos, Nanos]:
    return round(span.since * SECOND), length if span.to is None else round(span.to * SECOND)


def _nanos(seconds: float | None) -> Nanos | None:
    return None if seconds is None else round(seconds * SECOND)
