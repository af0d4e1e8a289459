"""A preview as it is drawn: the rehearsed room through the casting, layouts and compositor of a real job."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import av

from egress.layouts.arranging import tiles
from egress.layouts.base import View
from egress.layouts.casting import cast
from egress.media.compositor import Compositor
from egress.media.floor import Floor
from egress.media.programme import SPEAKING_HOLD
from egress.media.scene import Cast, Scene, Style
from egress.model.direction import Direction
from egress.model.media import SECOND, Nanos
from egress.model.pipeline import Pipeline, Video
from egress.model.room import Room
from egress.preview.rehearsal import Cue, Rehearsal

SETTLED: Nanos = 2 * SECOND
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
        self._floor = Floor()
        self._scene = Scene()
        self._spoke: dict[str, Nanos] = {}

    def at(self, tick: int) -> Nanos:
        """The session time of a tick."""
        return tick * SECOND * self._video.fps.denominator // self._video.fps.numerator

    def picture_at(self, at: Nanos) -> av.VideoFrame:
        """The picture of the tick at, or last before, a session time not before the next tick."""
        last = at * self._video.fps.numerator // (SECOND * self._video.fps.denominator)
        while self.ticks < last:
            if self.at(self.ticks) < at - SETTLED:
                self._advance()
            else:
                self.draw()
        return self.draw()

    def draw(self) -> av.VideoFrame:
        """The picture of the next tick; it is valid until the one after it is drawn."""
        at, half = self.at(self.ticks), (self.at(1) - self.at(0)) // 2
        self._advance()
        return self._compositor.draw(lambda track: self._cast.picture(track, at, half), at)

    def _advance(self) -> None:
        """Let happen what happens up to the next tick, and change the scene when it changes."""
        at = self.at(self.ticks)
        self.ticks += 1
        changed = self.ticks == 1
        while self._cues and self._cues[0].at <= at:
            cue = self._cues.popleft()
            for event in cue.events:
                self._room = self._room.after(event)
            self._direction, changed = cue.direction, True
        self._rehearsal.speak(self._room)
        if changed:
            self._change(at)
        if self._listen(at):
            self._change(at)
        self._compositor.speaking([peer for peer, last in self._spoke.items() if at - last < SPEAKING_HOLD])

    def _listen(self, at: Nanos) -> bool:
        """Hear who speaks; whether that gives the floor to somebody else."""
        speakers = self._cast.speakers()
        before, self._floor = self._floor, self._floor.after(at, speakers, self._scene.peers)
        self._spoke = {peer: last for peer, last in self._spoke.items() if peer in self._scene.peers}
        self._spoke |= dict.fromkeys(speakers, at)
        return (before.speaker, before.recent) != (self._floor.speaker, self._floor.recent)

    def _change(self, at: Nanos) -> None:
        """Make the scene of the room as it is now."""
        direction, roles = self._direction, self._pipeline.roles
        casting = cast(self._room, self._pipeline.select, roles, direction.hidden)
        view = View(casting.shown, self._floor.speaker, self._floor.recent, direction.pinned, roles, self._scene.tiles)
        shown = tiles(view, self._video.size, direction.layout)
        card = self._pipeline.cards.paused if direction.paused else None
        if not shown:
            card = self._pipeline.cards.waiting
        style = Style(
            direction.theme,
            direction.tiles,
            direction.overlays,
            card,
            {role: doc.accent for role, doc in roles.items() if doc.accent},
            self._rehearsal.portraits if direction.tiles.avatars == "pictures" else {},
        )
        self._scene = Scene(
            shown,
            self._rehearsal.pictures,
            style=style,
            peers=frozenset(casting.shown.peers),
            speaking=casting.shown.speaking,
        )
        self._cast.change(self._scene)
        self._compositor.arrange(shown, style)
