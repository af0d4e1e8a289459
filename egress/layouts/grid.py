"""Everyone in equal tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from egress.layouts.base import Box, Tile, View
from egress.model.look import LayoutDoc
from egress.model.media import Size
from egress.model.room import Peer, Room, Track, TrackSource

MOST_TILES = 49
"""More tiles than this are too small to tell faces apart; the rest is counted in one last tile."""

_NARROWEST = 4 / 3
_WIDEST = 1.9
_CAMERAS = (TrackSource.CAMERA, TrackSource.MIC)


@dataclass(frozen=True, slots=True)
class _Entry:
    peer: Peer
    video: Track | None
    audio: Track | None
    muted: bool


def grid(view: View, canvas: Size, doc: LayoutDoc) -> tuple[Tile, ...]:
    """Everyone in equal tiles, in order of joining: one tile per shown video track, one for a peer without any."""
    entries = [entry for peer in view.room.peers.values() for entry in _entries(view.room, peer)]
    left_over = len(entries) - (MOST_TILES - 1) if len(entries) > MOST_TILES else 0
    shown = entries[: MOST_TILES - 1] if left_over else entries
    boxes = arrange(len(shown) + bool(left_over), canvas, gap=doc.gap, margin=doc.margin)
    tiles = [_tile(entry, box, doc) for entry, box in zip(shown, boxes, strict=False)]
    if left_over:
        tiles.append(Tile("", None, None, boxes[-1], doc.fit, f"+{left_over} more", "", True))
    return tuple(tiles)


def arrange(count: int, canvas: Size, *, gap: int = 0, margin: int = 0) -> tuple[Box, ...]:
    """`count` equal boxes, as large as the canvas allows at about 16:9, row by row with the last row centred."""
    if count < 1:
        return ()
    width, height = canvas.width & ~1, canvas.height & ~1
    margin = min(margin, min(width, height) // 4)
    inner_width, inner_height = width - 2 * margin, height - 2 * margin
    best: tuple[int, int, int, int, int] | None = None
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        spacing = min(gap, inner_width // (4 * columns), inner_height // (4 * rows))
        tile = _shape((inner_width - (columns - 1) * spacing) / columns, (inner_height - (rows - 1) * spacing) / rows)
        if best is None or tile.width * tile.height > best[0] * best[1]:
            best = (tile.width, tile.height, columns, rows, spacing)
    assert best is not None
    tile_width, tile_height, columns, rows, spacing = best
    top = (height - rows * tile_height - (rows - 1) * spacing) // 2
    boxes = []
    for row in range(rows):
        in_row = min(columns, count - row * columns)
        left = (width - in_row * tile_width - (in_row - 1) * spacing) // 2
        y = (top + row * (tile_height + spacing)) & ~1
        boxes += [
            Box((left + column * (tile_width + spacing)) & ~1, y, tile_width, tile_height) for column in range(in_row)
        ]
    return tuple(boxes)


def _shape(width: float, height: float) -> Size:
    """The largest even size inside a cell whose aspect suits a person's picture; a little slack avoids thin bars."""
    if width > height * _WIDEST:
        width = height * _WIDEST
    elif width < height * _NARROWEST:
        height = width / _NARROWEST
    return Size(max(2, int(width) & ~1), max(2, int(height) & ~1))


def _entries(room: Room, peer: Peer) -> Iterator[_Entry]:
    sounds = room.tracks_of(peer.id, "audio")
    voice = _first([t for t in sounds if t.source in _CAMERAS]) or _first(sounds)
    silent = all(t.muted for t in sounds)
    videos = [t for t in room.tracks_of(peer.id, "video") if not t.muted]
    for video in sorted(videos, key=lambda t: t.source not in _CAMERAS):
        if video.source in _CAMERAS:
            yield _Entry(peer, video, voice, silent)
        else:
            own = _first([t for t in sounds if t.source is TrackSource.SCREEN_AUDIO])
            yield _Entry(peer, video, own or (voice if len(videos) == 1 else None), False)
    if not videos:
        yield _Entry(peer, None, voice, silent)


def _first(tracks: list[Track] | tuple[Track, ...]) -> Track | None:
    """The track to name: the first one that is heard, else the first."""
    return next((t for t in tracks if not t.muted), tracks[0] if tracks else None)


def _tile(entry: _Entry, box: Box, doc: LayoutDoc) -> Tile:
    name = entry.peer.name or entry.peer.id
    screen = entry.video is not None and entry.video.source not in _CAMERAS
    return Tile(
        peer=entry.peer.id,
        track=entry.video.id if entry.video else None,
        audio=entry.audio.id if entry.audio else None,
        box=box,
        fit="contain" if screen else doc.fit,
        label=f"{name} (screen)" if screen else name,
        role=entry.peer.role,
        muted=entry.muted,
    )
