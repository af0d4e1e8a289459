"""What the programme is made of: tiles, and the sources of pictures and sound behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from egress.layouts.base import Tile
from egress.media.mixer import one_sided
from egress.media.samples import Samples, on_both_sides
from egress.media.shelf import Picture
from egress.model.errors import Fault
from egress.model.look import AnyOverlay, CardDoc, Fit, ThemeDoc, TilesDoc
from egress.model.media import Nanos, Size

log = logging.getLogger(__name__)

_NOBODY: Final[frozenset[str]] = frozenset()


class PictureSource(Protocol):
    """What a tile shows."""

    def show(self, size: Size | None, fit: Fit) -> None: ...

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None: ...


class SoundSource(Protocol):
    """What is heard of one track: blocks of one or two channels, which nobody changes afterwards."""

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
            self._show(track, source, shown.get(track))

    def picture(self, track: str, at: Nanos, tolerance: Nanos) -> Picture | None:
        """What a video track shows at session time `at`; None when nothing."""
        source = self.scene.pictures.get(track)
        if source is None or track in self._failed:
            return None
        try:
            return source.picture_at(at, tolerance)
        except Exception as error:
            self._leave_out(track, error)
            return None

    def silence(self, silenced: bool) -> None:
        """Have nothing be heard from now on, or everything again; it fades, and stays in step meanwhile."""
        self._silenced = silenced
        for track, source in self.scene.sounds.items():
            self._mute(track, source, silenced)

    def speakers(self) -> frozenset[str]:
        """The peers who are speaking: the room server knows best, then their sound."""
        scene = self.scene
        speaking = [peer for peer, speaks in scene.speaking.items() if speaks]
        for track, peer in scene.voices.items():
            source = scene.sounds.get(track)
            if source is not None and peer not in scene.speaking and self._speaks(track, source):
                speaking.append(peer)
        return frozenset(speaking) if speaking else _NOBODY

    def idle(self, at: Nanos, tolerance: Nanos) -> None:
        """Let pictures pass by unseen while something else fills the canvas, so that the latest is there after it."""
        for tile in self.scene.tiles:
            if tile.track is not None:
                self.picture(tile.track, at, tolerance)

    def blocks(self, at: Nanos, samples: int) -> list[Samples]:
        """The sound (2, samples) of every track that is heard, or still fading, from session time `at` on."""
        heard: list[Samples] = []
        for sources in (self.scene.sounds, self._fading):
            for track, source in sources.items():
                block = self._pull(track, source, at, samples)
                if block is not None:
                    heard.append(one_sided(block, self._sides[track]) if track in self._sides else block)
        if self._fading:
            self._fading = {track: source for track, source in self._fading.items() if not self._faded(track, source)}
        return heard

    # Each question to a source is asked where it is put: they come hundreds of times a second, and going through one
    # place for all of them costs as much again as most answers.

    def _pull(self, track: str, source: SoundSource, at: Nanos, samples: int) -> Samples | None:
        if track in self._failed:
            return None
        try:
            block = source.pull(at, samples)
            if block is None or block.shape == (2, samples):
                return block
            if block.shape != (1, samples):
                raise Fault(f"sound of {block.shape} was given, not of (1 or 2, {samples})")
            return on_both_sides(block)
        except Exception as error:
            self._leave_out(track, error)
            return None

    def _speaks(self, track: str, source: SoundSource) -> bool:
        try:
            return track not in self._failed and source.speaking
        except Exception as error:
            self._leave_out(track, error)
            return False

    def _faded(self, track: str, source: SoundSource) -> bool:
        try:
            return track in self._failed or source.silent
        except Exception as error:
            self._leave_out(track, error)
            return True

    def _mute(self, track: str, source: SoundSource, muted: bool = True) -> None:
        try:
            if track not in self._failed:
                source.mute(muted)
        except Exception as error:
            self._leave_out(track, error)

    def _show(self, track: str, source: PictureSource, tile: Tile | None) -> None:
        try:
            if track in self._failed:
                return
            if tile is None:
                source.show(None, "cover")
            else:
                source.show(tile.box.size, tile.fit)
        except Exception as error:
            self._leave_out(track, error)

    def _leave_out(self, track: str, error: Exception) -> None:
        log.exception("track %s failed", track)
        self._failed.add(track)
        self.left_out += 1
        self._on_warning(f"track {track} is left out from now on: {type(error).__name__}: {error}")
