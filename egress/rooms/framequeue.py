"""The bounded queue between a received track and its one taker."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from egress.model.media import EncodedFrame

VIDEO_FRAMES, VIDEO_BYTES = 256, 16 << 20
"""What a video track keeps for a slow taker before it skips to a keyframe."""
AUDIO_FRAMES = 100
"""What an audio track keeps (2 s of 20 ms packets) before the oldest is lost."""


class FrameQueue:
    """Frames between a track and its one taker, owned by the track.

    When it is full: audio loses its oldest frame; video goes on with the newest keyframe waiting, or takes nothing
    until the next one comes. Every frame lost is counted in `dropped`, and the frame after the loss says `gap`.
    """

    def __init__(self, kind: str) -> None:
        self._video = kind == "video"
        self._frames: deque[EncodedFrame] = deque()
        self._bytes = 0
        self._skipping = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: EncodedFrame) -> bool:
        """Keep a frame; False when a keyframe is needed before anything can be kept again."""
        if self._skipping and not frame.key:
            self.dropped += 1
            return False
        if self._skipping:
            self._skipping = False
            frame = _after_gap(frame)
        self._frames.append(frame)
        self._bytes += len(frame.data)
        if not self._video:
            if len(self._frames) > AUDIO_FRAMES:
                self._drop(1)
            return True
        if len(self._frames) <= VIDEO_FRAMES and self._bytes <= VIDEO_BYTES:
            return True
        keys = [index for index, kept in enumerate(self._frames) if kept.key and index]
        self._drop(keys[-1] if keys else len(self._frames))
        self._skipping = not self._frames
        return not self._skipping

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= len(self._frames.popleft().data)
        self.dropped += count
        if self._frames:
            self._frames[0] = _after_gap(self._frames[0])

    def get(self) -> EncodedFrame:
        """The oldest frame; raises IndexError when there is none."""
        frame = self._frames.popleft()
        self._bytes -= len(frame.data)
        return frame


def _after_gap(frame: EncodedFrame) -> EncodedFrame:
    return replace(frame, gap=True)
