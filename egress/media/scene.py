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

    `pans` names the tracks that are heard on one side only. `speaking` is what the room server says of peers; of the
    others, their decoded sound tells. A tile's `peer` is looked up there.
    """

    tiles: tuple[Tile, ...] = ()
    pictures: Mapping[str, PictureSource] = field(default_factory=lambda: MappingProxyType({}))
    sounds: Mapping[str, SoundSource] = field(default_factory=lambda: MappingProxyType({}))
    style: Style = field(default_factory=Style)
    pans: Mapping[str, Literal["left", "right"]] = field(default_factory=lambda: MappingProxyType({}))
    speaking: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))


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

    def change(self, scene: Scene) -> None:
        """Let this scene follow. Sound no longer part of it is pulled on until it has faded: cut off, it clicks."""
        for track in self.scene.sounds.keys() - scene.sounds.keys() - self._failed:
            self._fading[track] = self.scene.sounds[track]
            self._ask(track, self._fading[track], lambda sound: sound.mute(True), None)
        self.scene = scene
        self._failed &= {*scene.pictures, *scene.sounds, *self._fading}
        shown = {tile.track: tile for tile in scene.tiles}
        for track, source in scene.pictures.items():
            self._ask(track, source, partial(_show, tile=shown.get(track)), None)

    def picture(self, track: str, at: Nanos, tolerance: Nanos) -> Picture | None:
        """What a video track shows at session time `at`; None when nothing."""
        source = self.scene.pictures.get(track)
        return None if source is None else self._ask(track, source, lambda s: s.picture_at(at, tolerance), None)

    def speakers(self) -> frozenset[str]:
        """The peers of the tiles whose sound is speech now."""
        sounds = self.scene.sounds
        return frozenset(
            tile.peer
            for tile in self.scene.tiles
            if tile.audio is not None
            and tile.audio in sounds
            and self._ask(tile.audio, sounds[tile.audio], lambda sound: sound.speaking, False)
        )

    def blocks(self, at: Nanos, samples: int) -> list[Samples]:
        """The sound (2, samples) of every track that is heard, or still fading, from session time `at` on."""
        pulled = [
            self._ask(track, source, partial(_pull, at=at, samples=samples), None)
            for track, source in (*self.scene.sounds.items(), *self._fading.items())
        ]
        for track in [t for t, source in self._fading.items() if self._ask(t, source, lambda s: s.silent, True)]:
            del self._fading[track]
        return [block for block in pulled if block is not None]

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
