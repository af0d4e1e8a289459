"""What the programme is made of: tiles, and the sources of pictures and sound behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from egress.layouts.base import Tile
from egress.media.mixer import one_sided
from egress.media.samples import Samples
from egress.media.shelf import Picture
from egress.model.errors import Fault
from egress.model.look import AnyOverlay, CardDoc, Fit, ThemeDoc, TilesDoc
from egress.model.media import Nanos, Size

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Source = TypeVar("Source")


class PictureSource(Protocol):
    """What a tile shows."""

    def show(self, size: Size | None, fit: Fit) -> None: ...

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None: ...


class SoundSource(Protocol):
    """What is heard of one track."""

    @property
    def speaking(self) -> bool: ...

    @property
    def silent(self) -> bool: ...

    def mute(self, muted: bool) -> None: ...

    def pull(self, at: Nanos, samples: int) -> Samples | None: ...


Portrait = npt.NDArray[np.uint8]
"""A picture that stands for a peer: (height, width, 4) RGBA, straight alpha."""


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """How tiles are drawn and what lies above them; texts have their placeholders filled in already.

    `card` fills the canvas in place of everything else. `accents` are colours by role, `portraits` pictures by peer.
    """

    theme: ThemeDoc = field(default_factory=ThemeDoc)
    tiles: TilesDoc = field(default_factory=TilesDoc)
    overlays: tuple[AnyOverlay, ...] = ()
    card: CardDoc | None = None
    accents: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    portraits: Mapping[str, Portrait] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Scene:
    """What the programme is made of from one session time on: tiles, and the intakes of the tracks by track id.

    `pans` names the tracks that are heard on one side only. `peers` are those who can have the floor, `voices` whose
    voice a track of sound is. `speaking` is what the room server says of peers; of the others, their decoded sound
    tells. While `paused` nothing is heard.
    """

    tiles: tuple[Tile, ...] = ()
    pictures: Mapping[str, PictureSource] = field(default_factory=lambda: MappingProxyType({}))
    sounds: Mapping[str, SoundSource] = field(default_factory=lambda: MappingProxyType({}))
    style: Style = field(default_factory=Style)
    pans: Mapping[str, Literal["left", "right"]] = field(default_factory=lambda: MappingProxyType({}))
    peers: frozenset[str] = frozenset()
    voices: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    speaking: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    paused: bool = False


class Cast:
    """The sources of the scene that is on, asked so that none of them can stop the programme.

    A source that raises, or gives another amount of sound than asked for, is left out from then on; `on_warning` is
    told once. All methods are called on one thread.
    """

    def __init__(self, on_warning: Callable[[str], None]) -> None:
        self.left_out = 0
        """How many sources failed since the beginning."""
        self.scene = Scene()
        self._on_warning = on_warning
        self._failed: set[str] = set()
        self._fading: dict[str, SoundSource] = {}
        self._sides: Mapping[str, Literal["left", "right"]] = {}
        self._silenced = False

    def change(self, scene: Scene) -> None:
        """Let this scene follow. Sound no longer part of it is pulled on until it has faded: cut off, it clicks."""
        for track in self.scene.sounds.keys() - scene.sounds.keys() - self._failed:
            self._fading[track] = self.scene.sounds[track]
            self._mute(track, self._fading[track])
        if self._silenced:
            for track in scene.sounds.keys() - self.scene.sounds.keys():
                self._mute(track, scene.sounds[track])
        # What fades does so where it was heard.
        self._sides = {
            t: side for t, side in {**self.scene.pans, **scene.pans}.items() if t in {*scene.pans, *self._fading}
        }
        self.scene = scene
        self._failed &= {*scene.pictures, *scene.sounds, *self._fading}
        shown = {tile.track: tile for tile in scene.tiles}
        for track, source in scene.pictures.items():
            self._ask(track, source, partial(_show, tile=shown.get(track)), None)

    def picture(self, track: str, at: Nanos, tolerance: Nanos) -> Picture | None:
        """What a video track shows at session time `at`; None when nothing."""
        source = self.scene.pictures.get(track)
        return None if source is None else self._ask(track, source, lambda s: s.picture_at(at, tolerance), None)

    def silence(self, silenced: bool) -> None:
        """Have nothing be heard from now on, or everything again; it fades, and stays in step meanwhile."""
        self._silenced = silenced
        for track, source in self.scene.sounds.items():
            self._mute(track, source, silenced)

    def speakers(self) -> frozenset[str]:
        """The peers who are speaking: the room server knows best, then their sound."""
        scene = self.scene
        heard = {
            peer
            for track, peer in scene.voices.items()
            if peer not in scene.speaking
            and track in scene.sounds
            and self._ask(track, scene.sounds[track], lambda sound: sound.speaking, False)
        }
        return frozenset(heard | {peer for peer, speaks in scene.speaking.items() if speaks})

    def idle(self, at: Nanos, tolerance: Nanos) -> None:
        """Let pictures pass by unseen while something else fills the canvas, so that the latest is there after it."""
        for tile in self.scene.tiles:
            if tile.track is not None:
                self.picture(tile.track, at, tolerance)

    def blocks(self, at: Nanos, samples: int) -> list[Samples]:
        """The sound (2, samples) of every track that is heard, or still fading, from session time `at` on."""
        pulled = [
            self._block(track, source, at, samples)
            for track, source in (*self.scene.sounds.items(), *self._fading.items())
        ]
        for track in [t for t, source in self._fading.items() if self._ask(t, source, lambda s: s.silent, True)]:
            del self._fading[track]
        return [block for block in pulled if block is not None]

    def _block(self, track: str, source: SoundSource, at: Nanos, samples: int) -> Samples | None:
        block = self._ask(track, source, partial(_pull, at=at, samples=samples), None)
        side = self._sides.get(track)
        return block if block is None or side is None else one_sided(block, side)

    def _mute(self, track: str, source: SoundSource, muted: bool = True) -> None:
        self._ask(track, source, lambda sound: sound.mute(muted), None)

    def _ask(self, track: str, source: Source, question: Callable[[Source], Answer], otherwise: Answer) -> Answer:
        if track in self._failed:
            return otherwise
        try:
            return question(source)
        except Exception as error:
            log.exception("track %s failed", track)
            self._failed.add(track)
            self.left_out += 1
            self._on_warning(f"track {track} is left out from now on: {type(error).__name__}: {error}")
            return otherwise


def _show(source: PictureSource, *, tile: Tile | None) -> None:
    if tile is None:
        source.show(None, "cover")
    else:
        source.show(tile.box.size, tile.fit)


def _pull(source: SoundSource, *, at: Nanos, samples: int) -> Samples | None:
    block = source.pull(at, samples)
    if block is not None and block.shape != (2, samples):
        raise Fault(f"sound of {block.shape} was given, not of (2, {samples})")
    return block
