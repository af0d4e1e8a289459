"""One recorded sound track as the mixer takes it, whatever files it lies in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import av
import numpy as np

from egress.composing.footage import Clip
from egress.composing.soundfile import FADE, SoundFile, open_sound
from egress.media.activity import VoiceActivity
from egress.media.opus import RATE
from egress.media.samples import Samples
from egress.model.media import SECOND, Nanos


class Strip:
    """The sound of one track: stereo float32 at 48 kHz, decoded just in time. Used on one thread.

    A file that cannot be read is told, and silent; what follows of the track is heard.
    """

    def __init__(self, clips: Sequence[Clip], on_warning: Callable[[str], None]) -> None:
        self._clips = deque(clips)
        self._on_warning = on_warning
        self._files: list[tuple[Clip, SoundFile]] = []
        """One mostly; two where one ends and the next begins."""
        self._gain = 1.0
        self._muted = False
        self._activity = VoiceActivity()

    @property
    def speaking(self) -> bool:
        """Whether somebody is speaking; noise, hum and keyboards are not."""
        return self._activity.speaking

    @property
    def silent(self) -> bool:
        """Whether what was pulled last ended in silence, so that the strip may be dropped without a click."""
        return self._gain == 0.0

    def mute(self, muted: bool) -> None:
        """Fall silent, or be heard again, softly within the next block pulled."""
        self._muted = muted

    def pull(self, at: Nanos, samples: int) -> Samples | None:
        """Sound (2, samples) of the session times from `at` on; None is silence. Blocks must adjoin."""
        block = None
        if not (self._muted and self._gain == 0.0):
            block = self._heard(at, samples)
        goal = 0.0 if self._muted else 1.0
        if block is not None and self._gain != goal:
            count = min(FADE, samples)
            block[:, :count] *= np.linspace(self._gain, goal, count, dtype=np.float32)
            block[:, count:] *= goal
        self._gain = goal
        self._activity.hear(block, samples)
        return block

    def close(self) -> None:
        """Let go of every file."""
        self._clips.clear()
        for _, file in self._files:
            file.close()
        self._files.clear()

    def _heard(self, at: Nanos, samples: int) -> Samples | None:
        until = at + samples * SECOND // RATE
        while self._clips and self._clips[0].start < until:
            clip = self._clips.popleft()
            if clip.end <= at:
                continue
            try:
                self._files.append((clip, open_sound(clip, at)))
            except (av.FFmpegError, OSError) as error:
                self._tell(clip, error)
        block: Samples | None = None
        for clip, file in tuple(self._files):
            try:
                sound = file.pull(at, samples)
            except (av.FFmpegError, OSError) as error:
                self._tell(clip, error)
                self._drop(file)
                continue
            if sound is not None:
                block = sound if block is None else block + sound
            if file.over and file.end <= at:
                if short := clip.cut_short(file.end):
                    self._on_warning(f"{short}; it has no sound from there on")
                self._drop(file)
        return block

    def _drop(self, file: SoundFile) -> None:
        self._files = [(clip, other) for clip, other in self._files if other is not file]
        file.close()

    def _tell(self, clip: Clip, error: Exception) -> None:
        self._on_warning(f"{clip.path.name} cannot be heard on: {getattr(error, 'strerror', None) or error}")
