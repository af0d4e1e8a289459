"""Who is on stage: folds room events into the room, keeps one intake per track, and tells the programme the scene."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from egress.layouts.base import View
from egress.media.intake import VideoIntake
from egress.media.programme import Programme
from egress.media.scene import PictureSource, Scene, SoundSource, Style
from egress.media.sound import AudioIntake
from egress.media.timeline import PeerClock
from egress.model import registry
from egress.model.clock import SessionClock
from egress.model.media import SECOND, Nanos
from egress.model.pipeline import Pipeline
from egress.model.room import (
    Peer,
    PeerJoined,
    PeerLeft,
    Room,
    RoomEvent,
    Track,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from egress.rooms.base import RoomSession

log = logging.getLogger(__name__)

CLOCK_RATE: Mapping[str, int] = MappingProxyType({"video": 90_000, "audio": 48_000})

GAUGES = ("timeline_", "waiting")
"""Figures of one intake that are no counts: of all intakes, the worst is told."""

CLOSE_WITHIN = 15.0
"""Seconds that all intakes together have to end; each has shorter limits of its own, for what it waits for."""

LINGER: Nanos = SECOND // 4
"""How long an intake outlives its last scene, so that the tick never pulls from a closed one."""


class Stage:
    """The room as the programme shows it.

    Every change takes effect at the session time it happened, which the tick reaches one `delay` later: media that
    is still on its way when its peer leaves is shown to the end.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        clock: SessionClock,
        visit: RoomSession,
        programme: Programme,
        on_warning: Callable[[str], None] = log.warning,
    ) -> None:
        """`on_warning` is told, on the loop's thread, whose media stays broken."""
        self.room = Room(name="")
        self.last_seen: Nanos = 0
        self.ever_published = False
        self._pipeline = pipeline
        self._layout: Callable[..., Any] = registry.load("layouts", pipeline.layout.kind)
        self._clock = clock
        self._visit = visit
        self._programme = programme
        self._peer_clocks: dict[str, PeerClock] = {}
        self._videos: dict[str, VideoIntake] = {}
        self._sounds: dict[str, AudioIntake] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._on_warning = on_warning
        self._totals: dict[str, int] = {}

    def selected(self, peer: Peer) -> bool:
        """Whether the pipeline shows and hears this peer."""
        roles = self._pipeline.select.roles
        return roles is None or peer.role in roles

    @property
    def participants(self) -> tuple[Peer, ...]:
        """The selected peers present, in order of joining."""
        return tuple(peer for peer in self.room.peers.values() if self.selected(peer))

    async def take(self, event: RoomEvent) -> None:
        """Fold one event: start or end intakes and change the scene."""
        before = self.room
        self.room = before.after(event)
        match event:
            case PeerJoined(peer):
                if peer.id not in before.peers or peer.id not in self._peer_clocks:
                    self._peer_clocks[peer.id] = PeerClock()
            case PeerLeft(peer_id):
                for track in before.tracks_of(peer_id):
                    self._drop(track.id)
                self._peer_clocks.pop(peer_id, None)
            case TrackPublished(track):
                if track.id in self.room.tracks and self.selected(self.room.peers[track.peer]):
                    self._take_in(track)
            case TrackUnpublished(track_id):
                self._drop(track_id)
            case TrackMuted():
                pass
            case _:
                return
        if before.peers or self.room.peers:
            self.last_seen = self._clock.now()
        await self._set()

    async def close(self) -> None:
        """End every intake; what does not end within CLOSE_WITHIN is left behind, which is told."""
        self._closing.set()
        for track_id in (*self._videos, *self._sounds):
            self._drop(track_id)
        if not self._leaving:
            return
        _, hung = await asyncio.wait(self._leaving, timeout=CLOSE_WITHIN)
        for task in hung:
            task.cancel()
            self._on_warning(f"{task.get_name()}: it did not end within {CLOSE_WITHIN:g} s and is left behind")

    def stats(self) -> dict[str, int]:
        """Sums of all intakes' counters since the job began, and the worst of what is not a count."""
        totals = dict(self._totals)
        for video in self._videos.values():
            _add(totals, video.stats())
        for sound in self._sounds.values():
            _add(totals, sound.stats())
        return totals

    def _take_in(self, track: Track) -> None:
        self.ever_published = True
        try:
            source = self._visit.source(track.id)
        except KeyError:
            # Replaced or ended since the room said it was published: the room will say so next.
            return
        timeline = self._peer_clocks[track.peer].track(track.kind, CLOCK_RATE[track.kind])
        delay, loop = self._pipeline.delay, asyncio.get_running_loop()
        whose = f"{track.source} of {self.room.peers[track.peer].name}"

        def warn(message: str) -> None:
            self._on_warning(f"{whose}: {message}")

        if track.kind == "audio":
            sound = AudioIntake(source, timeline, self._clock, delay=delay, loop=loop, on_warning=warn)
            self._sounds[track.id] = sound
            sound.start()
        elif self._pipeline.video is not None:
            video = VideoIntake(source, timeline, self._clock, delay=delay, loop=loop, on_warning=warn)
            self._videos[track.id] = video
            video.start()

    def _drop(self, track_id: str) -> None:
        intake = self._videos.pop(track_id, None) or self._sounds.pop(track_id, None)
        if intake is None:
            return
        task = asyncio.create_task(self._end(intake), name=f"end of track {track_id}")
        self._leaving.add(task)
        task.add_done_callback(self._ended)

    async def _end(self, intake: VideoIntake | AudioIntake) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), (self._pipeline.delay + LINGER) / SECOND)
        await intake.close()
        _add(self._totals, intake.stats())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed", task.get_name(), exc_info=error)
            self._on_warning(f"{task.get_name()} failed: {type(error).__name__}: {error}")

    async def _set(self) -> None:
        now = self._clock.now()
        sounds: Mapping[str, SoundSource] = MappingProxyType({**self._sounds})
        if self._pipeline.video is None:
            self._programme.show(Scene(sounds=sounds), now)
            return
        shown = Room(
            name=self.room.name,
            peers=MappingProxyType({peer.id: peer for peer in self.participants}),
            tracks=MappingProxyType(
                {key: track for key, track in self.room.tracks.items() if self.selected(self.room.peers[track.peer])}
            ),
        )
        tiles = tuple(self._layout(View(shown), self._pipeline.video.size, self._pipeline.layout))
        waiting = None if tiles else self._pipeline.cards.waiting
        style = Style(self._pipeline.theme, self._pipeline.tiles, self._pipeline.overlays, waiting)
        pictures: Mapping[str, PictureSource] = MappingProxyType({**self._videos})
        self._programme.show(Scene(tiles, pictures, sounds, style), now)
        wanted = {tile.track: tile.box.size for tile in tiles if tile.track is not None}
        for track_id in self._videos:
            await self._visit.want(track_id, wanted.get(track_id))


def _add(totals: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        if name.startswith(GAUGES):
            totals[name] = max(totals.get(name, 0), value, key=abs)
        else:
            totals[name] = totals.get(name, 0) + value
