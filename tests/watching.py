"""What the analyser sees in a product: who is in which tile of every picture, at which frame, and flashing or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np

from egress.demo import barcode
from egress.demo.people import MOST, chroma, person
from egress.demo.picture import planes
from egress.layouts.arranging import tiles
from egress.layouts.base import Tile, View
from egress.model.look import LayoutDoc
from egress.model.media import Size
from egress.model.room import Peer, Room, Track, TrackSource

_BT709 = {"kr": 0.2126, "kb": 0.0722}


_AGAIN = 5
"""Pictures between two looks for an arrangement in which more can be read than in one that seems complete."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One participant in one picture: `flash` is 0 for none and about 1 for a full one in this participant's colour."""

    frame: int
    counter: int
    flash: float


@dataclass
class Watched:
    """All pictures of a product. `times` are exact seconds; `sizes` and `keys` belong to the packets in file order."""

    size: Size
    codec: str
    time_base: Fraction
    ticks: list[int] = field(default_factory=list)
    packet_ticks: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    sights: dict[int, list[Sight]] = field(default_factory=dict)
    arrangements: list[tuple[int, int]] = field(default_factory=list)

    def time(self, frame: int) -> float:
        """When a picture is shown, in seconds."""
        return float(self.ticks[frame] * self.time_base)

    @property
    def seconds(self) -> float:
        """From the beginning of the first picture to the end of the last."""
        if len(self.ticks) < 2:
            return 0.0
        length = float((self.ticks[-1] - self.ticks[0]) * self.time_base)
        return length * len(self.ticks) / (len(self.ticks) - 1)


class Eye:
    """Looks at one tile."""

    def __init__(self, tile: Tile, canvas: Size, aspect: float) -> None:
        box = tile.box
        cover = tile.fit == "cover"
        wider = box.width / box.height > aspect
        if wider == cover:
            width, height = float(box.width), box.width / aspect
        else:
            width, height = box.height * aspect, float(box.height)
        x, y = box.x + (box.width - width) / 2, box.y + (box.height - height) / 2
        self._window = barcode.Window((canvas.height, canvas.width), x, y, width, height)
        left, top = max(x, box.x), max(y, box.y)
        visible_width, visible_height = min(width, box.width), min(height, box.height)
        xs = left + visible_width * np.linspace(0.1, 0.9, 9)
        ys = top + visible_height * np.array((0.07, 0.12, 0.17))
        self._columns = (xs / 2).astype(int)[None, :]
        self._rows = (ys / 2).astype(int)[:, None]

    def look(self, luma: barcode.Luma, blue: barcode.Luma, red: barcode.Luma) -> tuple[int, int, float] | None:
        """(person, counter, flash) seen in the tile; None when nobody's picture is there."""
        reading = self._window.read(luma)
        if reading is None or reading.person >= MOST:
            return None
        colour = _FLASH[reading.person]
        seen = np.array((blue[self._rows, self._columns].mean(), red[self._rows, self._columns].mean())) - 128
        return reading.person, reading.counter, float(seen @ colour / (colour @ colour))


_FLASH = [np.array(chroma(person(index).colour, **_BT709)[1:]) - 128.0 for index in range(MOST)]


def watch(
    location: str | Path,
    *,
    participants: int,
    screens: int = 0,
    doc: LayoutDoc | None = None,
    aspect: float = 16 / 9,
    options: dict[str, str] | None = None,
) -> Watched | None:
    """Decode and read every picture; None when there is no video. Tiles are those of the document's own layout.

    How many cameras, and how many screens (at most `screens` of the participants are published as one), there are is
    found out picture by picture: the arrangement in which most bar codes can be read.
    """
    doc = doc or LayoutDoc()
    with av.open(str(location), options=options or {}) as container:
        if not container.streams.video:
            return None
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        canvas = Size(stream.width, stream.height)
        found = Watched(canvas, stream.codec_context.name, Fraction(stream.time_base or 1))
        rooms = [  # cameras, screens
            (cameras, shared)
            for shared in range(min(screens, participants) + 1)
            for cameras in range(participants - shared + 1)
            if cameras + shared
        ]
        eyes: dict[tuple[int, int], list[Eye]] = {}
        now = (participants, 0)

        def look(room: tuple[int, int], views: tuple[barcode.Luma, ...]) -> list[tuple[int, int, float]]:
            if room not in eyes:
                eyes[room] = [Eye(tile, canvas, aspect) for tile in tiles(View(room_of(*room)), canvas, doc)]
            return [seen for eye in eyes[room] if (seen := eye.look(*views)) is not None]

        for packet in container.demux(stream):
            if packet.pts is not None and packet.size:
                found.packet_ticks.append(packet.pts)
                found.sizes.append(packet.size)
                if packet.is_keyframe:
                    found.keys.append(packet.pts)
            for frame in packet.decode():
                views = planes(frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p"))
                best = look(now, views)
                # All of seven tiles lie where some of nine do: now and then, more of them are looked for.
                if len(best) < len(eyes[now]) or (len(found.ticks) % _AGAIN == 0 and len(best) < participants):
                    for room in rooms:
                        other = look(room, views) if room != now else []
                        if len(other) > len(best):
                            now, best = room, other
                number = len(found.ticks)
                found.ticks.append(frame.pts or 0)
                if best and (not found.arrangements or found.arrangements[-1][1] != len(eyes[now])):
                    found.arrangements.append((number, len(eyes[now])))
                for who, counter, flash in best:
                    found.sights.setdefault(who, []).append(Sight(number, counter, flash))
    return found


def room_of(cameras: int, screens: int = 0) -> Room:
    """A room in which so many publish a camera, and so many a screen, those with a camera first."""
    names = [f"peer-{index:02d}" for index in range(max(cameras, screens))]
    tracks = [Track(name, name, "video", TrackSource.CAMERA) for name in names[:cameras]]
    tracks += [Track(f"{name}-screen", name, "video", TrackSource.SCREEN) for name in names[:screens]]
    return Room(
        "probe",
        MappingProxyType({name: Peer(name, name) for name in names}),
        MappingProxyType({track.id: track for track in tracks}),
    )


@dataclass(frozen=True, slots=True)
class Flash:
    """A flash that began: when, and on which second of the shared clock (modulo the loop's length)."""

    at: float
    second: int


def flashes(watched: Watched, who: int, fps: int) -> tuple[Flash, ...]:
    """Every beginning of a participant's flash; one that was under way when the participant appeared does not count."""
    found = []
    before: Sight | None = None
    for sight in watched.sights.get(who, ()):
        lit = sight.flash > 0.5
        was_lit = before is not None and before.flash > 0.5 and sight.frame - before.frame <= fps // 3
        appeared = before is None or sight.frame - before.frame > 1
        if lit and not was_lit and not (appeared and sight.counter % fps):
            found.append(Flash(watched.time(sight.frame), sight.counter // fps))
        before = sight
    return tuple(found)


def distinct(watched: Watched, who: int, first: float, last: float) -> int:
    """How many different pictures of a participant are shown in a span of time."""
    count, before = 0, None
    for sight in watched.sights.get(who, ()):
        if first <= watched.time(sight.frame) < last:
            count += sight.counter != before
            before = sight.counter
    return count


def longest_freeze(watched: Watched, who: int, first: float, last: float) -> float:
    """The longest a participant's tile kept one picture, in seconds, while the participant was shown."""
    longest, since, before = 0.0, 0.0, None
    for sight in watched.sights.get(who, ()):
        at = watched.time(sight.frame)
        if not first <= at < last:
            continue
        if before is None or sight.frame - before.frame > 1 or sight.counter != before.counter:
            since = at
        longest = max(longest, at - since)
        before = sight
    return longest
