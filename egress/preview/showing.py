"""A preview as it is drawn: the rehearsed room through the casting, layouts and compositor of a real job."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import av

from egress.layouts.base import Tile
from egress.media.compositor import Compositor
from egress.media.scene import Cast, Scene, Style
from egress.media.scenery import scene_of
from egress.media.speech import Speech
from egress.model.direction import Direction
from egress.model.look import CardDoc
from egress.model.media import SECOND, Nanos
from egress.model.pipeline import Pipeline, Video
from egress.model.room import Room
from egress.preview.rehearsal import Cue, Rehearsal

FADES: Nanos = SECOND + SECOND // 4
"""Drawing begins this long before a picture that is wanted: every fade that shows in it has begun by then."""


class Showing:
    """The pictures of a preview, one a tick, in order; each is what the programme of a real job would draw."""

    def __init__(
        self, pipeline: Pipeline, video: Video, rehearsal: Rehearsal, on_warning: Callable[[str], None]
    ) -> None:
        self.ticks = 0
        self._pipeline = pipeline
        self._video = video
        self._rehearsal = rehearsal
        self._compositor = Compositor(video.size, rehearsal.script.started)
        self._cast = Cast(on_warning)
        self._cues: deque[Cue] = deque(rehearsal.cues)
        self._room = Room(rehearsal.script.room)
        self._direction = Direction.of(pipeline)
        self._speech = Speech()
        self._scene = Scene()
        self._changed: Nanos = 0
        self._starting = True
        self._stopped = False
        self._accents = {role: doc.accent for role, doc in pipeline.roles.items() if doc.accent}
        self._style = Style()
        self._looks: tuple[object, ...] = ()

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles of the picture drawn last."""
        return self._scene.tiles

    def at(self, tick: int) -> Nanos:
        """The session time of a tick."""
        return tick * SECOND * self._video.fps.denominator // self._video.fps.numerator

    def picture_at(self, at: Nanos) -> av.VideoFrame:
        """The picture of the tick at, or last before, a session time not before the next tick."""
        last = at * self._video.fps.numerator // (SECOND * self._video.fps.denominator)
        while self.ticks < last:
            tick = self.at(self.ticks)
            self._advance()
            # What a fade begins with must have been drawn, and all of it; pictures that only move need not.
            first = at - FADES <= tick < at - FADES + self.at(1)
            if first or at - FADES <= tick < self._changed + FADES:
                self._drawn(tick)
        return self.draw()

    def draw(self) -> av.VideoFrame:
        """The picture of the next tick; it is valid until the one after it is drawn."""
        at = self.at(self.ticks)
        self._advance()
        return self._drawn(at)

    def _drawn(self, at: Nanos) -> av.VideoFrame:
        return self._compositor.draw(lambda track: self._cast.picture(track, at, self.at(1) // 2), at)

    def _advance(self) -> None:
        """Let happen what happens up to the next tick, and change the scene when it changes."""
        at, cards = self.at(self.ticks), self._pipeline.cards
        self.ticks += 1
        changed = self.ticks == 1
        if cards.start is not None and self._starting and at >= cards.start.duration:
            self._starting, changed = False, True
        while self._cues and self._cues[0].at <= at:
            cue = self._cues.popleft()
            for event in cue.events:
                self._room = self._room.after(event)
            self._direction, changed = cue.direction, True
            self._stopped = self._stopped or cue.stop
        self._rehearsal.speak(self._room)
        if changed:
            self._change(at)
        if self._speech.hear(at, self._cast.speakers(), self._scene.peers):
            self._change(at)
        self._compositor.speaking(self._speech.marked(at))

    def _change(self, at: Nanos) -> None:
        """Make the scene of the room as it is now."""
        before, cards = self._scene, self._pipeline.cards
        if self._stopped and cards.end is not None:
            scene = Scene(style=self._styled(cards.end))
        else:
            scene = scene_of(
                self._pipeline,
                self._room,
                self._direction,
                self._speech.floor,
                self._styled,
                pictures=self._rehearsal.pictures,
                before=before.tiles,
                start=cards.start if cards.start and at < cards.start.duration else None,
            )
        self._scene = scene
        self._cast.change(scene)
        if scene.tiles != before.tiles or scene.style is not before.style:
            self._compositor.arrange(scene.tiles, scene.style)
            self._changed = at

    def _styled(self, card: CardDoc | None) -> Style:
        """The style of now: the very same object while it is the same style, so that nothing is drawn anew."""
        said = self._direction
        portraits = self._rehearsal.portraits if said.tiles.avatars == "pictures" else {}
        looks = (said.theme, said.tiles, said.overlays, card)
        if looks != self._looks:
            self._looks = looks
            self._style = Style(said.theme, said.tiles, said.overlays, card, self._accents, portraits)
        return self._style
