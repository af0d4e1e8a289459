"""Footage made into a programme: the same casting, layouts, floor, compositor and encoders as in a job, by no clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from types import MappingProxyType

from egress.composing.footage import Footage
from egress.composing.reel import Reel
from egress.composing.strip import Strip
from egress.layouts import casting
from egress.media.floor import Floor
from egress.media.production import Production
from egress.media.scene import PictureSource, Scene, SoundSource, Style
from egress.media.scenery import scene_of
from egress.model.direction import Direction
from egress.model.errors import EgressError, Fault
from egress.model.look import CardDoc
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.pipeline import Pipeline
from egress.model.room import Room, TrackPublished

PATIENCE: Nanos = 120 * SECOND
"""How long the video encoder may take for one picture."""
AHEAD = 2
"""Seconds of sound that may wait for its encoder."""
SOUNDS_AT_ONCE = 15
"""Ticks whose sound is encoded in one go: nobody waits for it, and what is awake once has what it needs at hand."""
LOOK_EVERY = 8
"""Ticks between two looks at whoever may be behind; where there are smaller pictures, before each."""
PAUSE = 0.002
"""Seconds between two looks at whoever is behind."""


class Projection:
    """Makes the ticks of a programme one after another, each as soon as there is room for it. Used on one thread."""

    def __init__(
        self,
        pipeline: Pipeline,
        footage: Footage,
        on_packet: Callable[[Packet], None],
        on_warning: Callable[[str], None],
        crowded: Callable[[], bool],
    ) -> None:
        """`on_warning` is told, on any thread, what is left out; `crowded` says that outputs should be waited for."""
        self._pipeline = pipeline
        self._footage = footage
        self._on_warning = on_warning
        self._crowded = crowded
        self._errors: deque[EgressError] = deque()
        self._made = Production(
            pipeline,
            footage.started,
            on_packet,
            self._errors.append,
            on_warning,
            on_floor=self._give_floor,
            sounds_at_once=SOUNDS_AT_ONCE,
        )
        self._rungs = tuple(info.id for info in self._made.infos if info.rung)
        self._happenings = deque(footage.happenings)
        self._room = Room(footage.room)
        self._direction = Direction.of(pipeline)
        self._floor = Floor()
        self._published = False
        self._changed = True
        self._scene = Scene()
        self._styles: dict[CardDoc | None, Style] = {}
        self._accents = MappingProxyType({name: r.accent for name, r in pipeline.roles.items() if r.accent})
        self._reels: dict[str, Reel] = {}
        self._strips: dict[str, Strip] = {}
        cards = pipeline.cards
        self._start = cards.start if pipeline.video is not None else None
        self._end = cards.end if pipeline.video is not None else None
        self.length: Nanos = footage.length + (self._end.duration if self._end else 0)
        """Of what is made."""

    @property
    def infos(self) -> tuple[StreamInfo, ...]:
        """The streams."""
        return self._made.infos

    @property
    def position(self) -> Nanos:
        """Session time of the next tick."""
        return self._made.time(self._made.ticks)

    @property
    def participants(self) -> int:
        """How many are there at the moment."""
        return sum(casting.selected(peer, self._pipeline.select) for peer in self._room.peers.values())

    def run(self) -> Iterator[Nanos]:
        """Make every tick, giving the position after each; raises EgressError when an encoder fails."""
        ended = False
        while (at := self.position) < self.length:
            if self._end is not None and at >= self._footage.length:
                if not ended:
                    ended = True
                    self._made.change(Scene(style=self._styled(self._end)))
                    self._close_tracks(())
            else:
                self._advance(at)
            self._wait()
            self._made.make(patience=PATIENCE)
            yield self.position
        self._made.finish()
        self._check()

    def close(self) -> None:
        """Stop decoding."""
        self._close_tracks(())

    def figures(self) -> dict[str, object]:
        """Counters of what was made, for people."""
        made = self._made
        return {
            "ticks": made.ticks,
            "repeated": made.video.main.repeated if made.video else 0,
            "left_out": made.cast.left_out,
            "encoders": {name: dict(counters) for name, counters in made.encoders().items()},
            "loudness": made.loudness.integrated,
        }

    def _advance(self, at: Nanos) -> None:
        """Let happen what happens up to a tick, and change the scene when it changes."""
        while self._happenings and self._happenings[0][0] <= at:
            _, event = self._happenings.popleft()
            self._room, self._changed = self._room.after(event), True
            self._published = self._published or isinstance(event, TrackPublished)
        if self._start is not None and at >= self._start.duration:
            self._start, self._changed = None, True
        if self._changed:
            self._changed = False
            self._change()

    def _change(self) -> None:
        cast = casting.cast(self._room, self._pipeline.select, self._pipeline.roles)
        taken = {t.id for t in self._room.tracks.values() if t.id in cast.heard or t.id in cast.shown.tracks}
        self._open_tracks(taken)
        self._scene = scene_of(
            self._pipeline,
            self._room,
            self._direction,
            self._floor,
            self._styled,
            pictures=MappingProxyType(dict[str, PictureSource](self._reels)),
            sounds=MappingProxyType(dict[str, SoundSource](self._strips)),
            before=self._scene.tiles,
            published=self._published,
            start=self._start,
        )
        self._made.change(self._scene)
        self._close_tracks(taken)

    def _open_tracks(self, taken: set[str]) -> None:
        for track in taken - self._reels.keys() - self._strips.keys():
            clips = self._footage.clips.get(track, ())
            if not clips:
                continue
            if clips[0].kind == "audio":
                self._strips[track] = Strip(clips, self._on_warning)
            elif self._pipeline.video is not None:
                self._reels[track] = Reel(track, clips, self._on_warning)

    def _close_tracks(self, taken: set[str] | tuple[()]) -> None:
        for track in [track for track in self._reels if track not in taken]:
            self._reels.pop(track).close()
        for track in [track for track in self._strips if track not in taken]:
            # It is let fade; whoever pulls it last lets go of its files.
            del self._strips[track]

    def _give_floor(self, floor: Floor) -> None:
        self._floor, self._changed = floor, True

    def _styled(self, card: CardDoc | None) -> Style:
        """The style of now: the very same object while nothing of it changes, so that nothing is drawn anew."""
        if card not in self._styles:
            said = self._direction
            self._styles[card] = Style(said.theme, said.tiles, said.overlays, card, self._accents)
        return self._styles[card]

    def _wait(self) -> None:
        """Go on only when there is room for what a tick makes, wherever that goes."""
        self._check()
        if self._made.ticks % LOOK_EVERY and not self._rungs:
            return
        while self._behind() and not self._errors:
            time.sleep(PAUSE)

    def _behind(self) -> bool:
        encoders = self._made.encoders()
        if encoders["audio"]["waiting"] > AHEAD * self._pipeline.audio.rate or self._crowded():
            return True
        # Smaller pictures are never waited for in a live job: here nothing is lost for waiting.
        return any(encoders[rung]["waiting"] > 1 for rung in self._rungs)

    def _check(self) -> None:
        if self._errors:
            raise self._errors[0]
        if self._made.video is not None and self._made.video.main.refused:
            raise Fault("the video encoder takes no more pictures")
