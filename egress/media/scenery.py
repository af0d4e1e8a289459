"""The one way from a room to what the programme shows of it: casting, layout, cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from egress.layouts import arranging, casting
from egress.layouts.base import Tile, View
from egress.media.floor import Floor
from egress.media.scene import PictureSource, Scene, SoundSource, Style
from egress.model.direction import Direction
from egress.model.look import CardDoc
from egress.model.pipeline import Pipeline
from egress.model.room import Room, TrackSource

_NOTHING: Mapping[str, SoundSource] = MappingProxyType({})


def scene_of(
    pipeline: Pipeline,
    room: Room,
    direction: Direction,
    floor: Floor,
    styled: Callable[[CardDoc | None], Style],
    *,
    pictures: Mapping[str, PictureSource],
    sounds: Mapping[str, SoundSource] = _NOTHING,
    before: tuple[Tile, ...] = (),
    published: bool = True,
    start: CardDoc | None = None,
) -> Scene:
    """What the programme is made of while the room is like this; pure, as far as `styled` is.

    `pictures` and `sounds` are the media there is, by track. `before` are the tiles shown until now; `published`:
    somebody has published something, now or earlier; `start` is the card of the beginning while it is shown.
    """
    cast = casting.cast(room, pipeline.select, pipeline.roles, direction.hidden)
    shown = cast.shown
    voices = (t for t in shown.tracks.values() if t.kind == "audio" and t.source is not TrackSource.SCREEN_AUDIO)
    scene = Scene(
        sounds=MappingProxyType({t: sounds[t] for t in cast.heard if t in sounds}),
        pans=cast.pans if pipeline.audio.channels == 2 else MappingProxyType({}),
        peers=frozenset(shown.peers),
        voices=MappingProxyType({t.id: t.peer for t in voices}),
        speaking=shown.speaking,
        paused=direction.paused,
        style=styled(None),
    )
    if pipeline.video is None:
        return scene
    view = View(shown, floor.speaker, floor.recent, direction.pinned, pipeline.roles, before)
    tiles = arranging.tiles(view, pipeline.video.size, direction.layout)
    card = start
    if direction.paused:
        card = pipeline.cards.paused
    elif card is None and not (tiles and published):
        card = pipeline.cards.waiting
    return replace(scene, tiles=tiles, pictures=pictures, style=styled(card))
