"""Who is on stage: folds room events, operators' wishes and the floor into scenes, and tells the programme."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from egress.intakes import Intakes
from egress.layouts import casting
from egress.layouts.base import Tile
from egress.media.floor import Floor
from egress.media.programme import Programme
from egress.media.scene import PictureSource, Portrait, Scene, SoundSource, Style
from egress.media.scenery import scene_of
from egress.media.unmade import Unmade
from egress.model.clock import SessionClock
from egress.model.direction import Direction
from egress.model.look import CardDoc
from egress.model.media import Nanos, Size
from egress.model.pipeline import Pipeline
from egress.model.room import Peer, Room, RoomClosed, RoomEvent, RoomWarning, TrackMuted, TrackPublished
from egress.passage import Passage
from egress.portrayal import Fetch, Portrayal
from egress.rooms.base import RoomSession

log = logging.getLogger(__name__)

WHOLE = Size(7680, 4320)
"""What is asked for of a picture that is passed on: the largest its sender has."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """The room from a session time on, and the media there was of it."""

    at: Nanos
    room: Room
    pictures: Mapping[str, PictureSource]
    sounds: Mapping[str, SoundSource]
    published: bool


class Stage:
    """The room as the programme shows it.

    What happens in the room takes effect at the session time it happened, which the tick reaches one `delay` later:
    media that is still on its way when its peer leaves is shown to the end. What an operator says, and who has the
    floor, takes effect at the very next tick: it is about the picture one sees now.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        clock: SessionClock,
        visit: RoomSession,
        programme: Programme | Unmade,
        on_warning: Callable[[str], None] = log.warning,
        fetch: Fetch | None = None,
        passage: Passage | None = None,
    ) -> None:
        """`on_warning` is told, on the loop's thread, whose media stays broken; `fetch` gets pictures of peers;
        `passage` takes every selected track as it was sent."""
        self._passage = passage
        self.room = Room(name="")
        self.direction = Direction.of(pipeline)
        self.floor = Floor()
        self.last_seen: Nanos = 0
        self.ever_published = False
        self._pipeline = pipeline
        self._clock = clock
        self._visit = visit
        self._programme = programme
        self._intakes = Intakes(clock, visit, delay=pipeline.delay, on_warning=on_warning, passage=passage)
        self._moments: list[_Moment] = [_Moment(0, self.room, {}, {}, False)]
        self._shown: list[tuple[Nanos, Scene]] = []
        self._styles: dict[CardDoc | None, Style] = {}
        self._portraits: Mapping[str, Portrait] = MappingProxyType({})
        self._portrayal = Portrayal(fetch, self.portray, on_warning) if fetch is not None else None
        self._accents = MappingProxyType({name: r.accent for name, r in pipeline.roles.items() if r.accent})
        self._wanted: dict[str, Size | None] = {}
        self._asking = asyncio.Lock()
        self._hints: set[asyncio.Task[None]] = set()
        self._ended = False
        self._revise()

    def selected(self, peer: Peer) -> bool:
        """Whether the pipeline takes part of this peer at all."""
        return casting.selected(peer, self._pipeline.select)

    @property
    def participants(self) -> tuple[Peer, ...]:
        """The selected peers present, in order of joining."""
        return tuple(peer for peer in self.room.peers.values() if self.selected(peer))

    async def take(self, event: RoomEvent) -> None:
        """Fold one event: start or end intakes and change the scene."""
        before, self.room = self.room, self.room.after(event)
        if isinstance(event, RoomWarning | RoomClosed):
            return
        cast = casting.cast(self.room, self._pipeline.select, self._pipeline.roles)
        taken = [t for t in self.room.tracks.values() if t.id in cast.heard or t.id in cast.shown.tracks]
        passed = casting.chosen(self.room, self._pipeline.select) if self._passage is not None else ()
        if isinstance(event, TrackPublished) and (event.track in taken or event.track in passed):
            self.ever_published = True
        if self._pipeline.video is None:
            taken = [t for t in taken if t.kind == "audio"]
        self._intakes.follow(self.room, taken if self._pipeline.composed else (), passed)
        if isinstance(event, TrackMuted) and self._passage is not None:
            self._passage.mute(event.track, event.muted)
        if self.room.connected and (before.peers or self.room.peers):
            self.last_seen = self._clock.now()
        self._add_moment()
        self._seek_portraits()
        await self._hint()

    def direct(self, direction: Direction) -> None:
        """Have the picture be as an operator says, from the next tick on."""
        before, self.direction = self.direction, direction
        if (before.theme, before.tiles, before.overlays) != (direction.theme, direction.tiles, direction.overlays):
            self._styles.clear()
        self._refresh()
        self._seek_portraits()

    def give_floor(self, floor: Floor) -> None:
        """Have the picture follow who speaks, from the next tick on."""
        self.floor = floor
        self._refresh()

    def portray(self, portraits: Mapping[str, Portrait]) -> None:
        """Have these pictures stand for peers whose camera is off, from the next tick on."""
        self._portraits = MappingProxyType(dict(portraits))
        self._styles.clear()
        self._refresh()

    def end_with(self, card: CardDoc, at: Nanos) -> None:
        """Fill the canvas with a card, in silence, from session time `at` on, whatever else is said."""
        self._ended = True
        self._programme.show(Scene(style=self._styled(card)), at)

    async def close(self, until: Nanos | None = None) -> None:
        """End every intake; what does not end in time is left behind, which is told. What was captured at session time
        `until` or later is not passed on."""
        if self._portrayal is not None:
            # First, for a picture that comes would give a hint anew.
            await self._portrayal.close()
        for task in self._hints:
            task.cancel()
        await asyncio.gather(*self._hints, return_exceptions=True)
        if self._passage is not None:
            self._passage.close(until)
        await self._intakes.close()

    def stats(self) -> dict[str, int]:
        """Sums of all intakes' counters since the job began, and the worst of what is not a count."""
        return self._intakes.stats()

    def _passes(self, track: str) -> bool:
        return self._passage is not None and track in self._passage

    def _seek_portraits(self) -> None:
        if self._portrayal is not None:
            wanted = (
                self._pipeline.video is not None
                and self._pipeline.composed
                and self.direction.tiles.avatars == "pictures"
            )
            self._portrayal.follow(self.participants if wanted else ())

    def _add_moment(self) -> None:
        """The room is as it is now from now on; what was to follow later, like the end of a card, is said anew."""
        intakes = self._intakes
        moment = _Moment(self._clock.now(), self.room, intakes.pictures, intakes.sounds, self.ever_published)
        self._forget()
        self._moments.append(moment)
        before = [scene for at, scene in self._shown if at < moment.at]
        self._tell(moment.at, self._scenes(moment, None, before[-1].tiles if before else ()))

    def _revise(self) -> None:
        """Say anew all that is not past."""
        self._forget()
        begin = self._programme.position
        past = [scene for at, scene in self._shown if at < begin]
        tiles = past[-1].tiles if past else ()
        scenes: list[tuple[Nanos, Scene]] = []
        for number, moment in enumerate(self._moments):
            until = self._moments[number + 1].at if number + 1 < len(self._moments) else None
            scenes += self._scenes(replace(moment, at=max(moment.at, begin)), until, tiles)
            tiles = scenes[-1][1].tiles
        self._tell(begin, scenes)

    def _refresh(self) -> None:
        self._revise()
        task = asyncio.create_task(self._hint(), name="hints of sizes")
        self._hints.add(task)
        task.add_done_callback(self._hints.discard)

    def _forget(self) -> None:
        """Let go of moments and scenes that are past, all but the latest of them."""
        position = self._programme.position
        while len(self._moments) > 1 and self._moments[1].at <= position:
            self._moments.pop(0)
        while len(self._shown) > 1 and self._shown[1][0] < position:
            self._shown.pop(0)

    def _tell(self, begin: Nanos, scenes: Sequence[tuple[Nanos, Scene]]) -> None:
        """From `begin` on these scenes follow; the programme hears only of what changes."""
        if self._ended:
            return
        kept = [(at, scene) for at, scene in self._shown if at < begin]
        last = kept[-1][1] if kept else None
        fresh: list[tuple[Nanos, Scene]] = []
        for at, scene in scenes:
            if scene != last:
                fresh.append((at, scene))
            last = scene
        if fresh != self._shown[len(kept) :]:
            # What is on is said again, lest what was taken back before the next tick be seen until the fresh one.
            again = [] if fresh and fresh[0][0] == begin else [(begin, kept[-1][1])]
            self._programme.revise([*again, *fresh])
        self._shown = [*kept, *fresh]

    def _scenes(self, moment: _Moment, until: Nanos | None, before: tuple[Tile, ...]) -> list[tuple[Nanos, Scene]]:
        """What a moment looks like, in parts when a card ends within it."""
        start = self._pipeline.cards.start
        ends = start.duration if start is not None else 0
        scenes = []
        if moment.at < ends:
            scenes.append((moment.at, self._scene(moment, before, start)))
            if until is not None and ends >= until:
                return scenes
        scenes.append((max(moment.at, ends), self._scene(moment, before, None)))
        return scenes

    def _scene(self, moment: _Moment, before: tuple[Tile, ...], start: CardDoc | None) -> Scene:
        return scene_of(
            self._pipeline,
            moment.room,
            self.direction,
            self.floor,
            self._styled,
            pictures=moment.pictures,
            sounds=moment.sounds,
            before=before,
            published=moment.published,
            start=start,
        )

    def _styled(self, card: CardDoc | None) -> Style:
        """The style of now: the very same object while nothing of it changes, so that nothing is drawn anew."""
        if card not in self._styles:
            said = self.direction
            self._styles[card] = Style(said.theme, said.tiles, said.overlays, card, self._accents, self._portraits)
        return self._styles[card]

    async def _hint(self) -> None:
        """Tell the room which sizes are shown, where that has changed."""
        if self._pipeline.video is None and self._passage is None:
            return
        async with self._asking:
            tiles = self._shown[-1][1].tiles if self._shown else ()
            sizes: dict[str, Size] = {}
            for tile in tiles:
                if tile.track is not None:
                    known = sizes.get(tile.track, Size(0, 0))
                    sizes[tile.track] = max(known, tile.box.size, key=lambda size: size.width * size.height)
            there = self._intakes.pictures
            wanted = {track: sizes.get(track) for track in there}
            wanted |= {t.id: WHOLE for t in self.room.tracks.values() if t.kind == "video" and self._passes(t.id)}
            for track, size in wanted.items():
                if track not in self._wanted or self._wanted[track] != size:
                    await self._visit.want(track, size)
            self._wanted = dict(wanted)
