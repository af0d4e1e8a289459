"""The pictures of one clip, decoded in order; what lies before a moment that is asked for is leapt over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import av
from av.codec.context import ThreadType
from av.stream import Discard

from egress.composing.footage import Clip
from egress.model.media import SECOND, Nanos

LEAP: Nanos = 2 * SECOND
"""What is asked for this far ahead is looked for at a keyframe; less is decoded through."""


class Film:
    """Decodes one video stream on one thread; every method raises av.FFmpegError or OSError when it cannot be read."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.broken = 0
        """Frames that could not be decoded; nothing is shown from each to the next keyframe."""
        self._container = av.open(str(clip.path))
        self._stream = _only(self._container, clip.stream)
        context = self._stream.codec_context
        context.thread_type, context.thread_count = ThreadType.NONE, 1
        self._base = self._stream.time_base
        self._scale = (SECOND * self._base.numerator, self._base.denominator)
        self._scout: Iterator[tuple[Nanos, bool]] | None = None
        self._scouted: Nanos = -1
        self._keys: deque[Nanos] = deque()
        self._position: Nanos | None = None
        self._intact = False
        self._frames = self._decoded()

    def next(self) -> tuple[av.VideoFrame, Nanos] | None:
        """The next picture and its file time in ns; None at the end."""
        found = next(self._frames, None)
        if found is not None:
            self._position = found[1]
        return found

    def leap(self, at: Nanos) -> None:
        """Have the next picture be one from which that of a file time can be reached, not far before it if possible."""
        if self._position is None:
            if at > LEAP:
                self._seek(at)
        elif at - self._position > LEAP and (key := self._newest_key(at)) is not None:
            self._seek(key)

    def close(self) -> None:
        """Let go of the file."""
        self._frames = iter(())
        self._scout = None
        self._container.close()

    def _seek(self, at: Nanos) -> None:
        self._container.seek(max(0, int(at / SECOND / self._base)), stream=self._stream)
        self._intact = False
        self._frames = self._decoded()

    def _newest_key(self, until: Nanos) -> Nanos | None:
        """The latest keyframe beyond what was decoded last and not after a file time.

        Senders make keyframes when they are asked to, so they may be many minutes apart: to go back to one, once for
        every moment asked for, would decode the same again and again. Another reader looks at each packet once.
        """
        if self._scout is None:
            self._scout = _packets(self.clip)
        while self._scouted <= until and (packet := next(self._scout, None)) is not None:
            self._scouted, key = packet
            if key:
                self._keys.append(self._scouted)
        found = None
        while self._keys and self._keys[0] <= until:
            found = self._keys.popleft()
        return found if found is not None and self._position is not None and found > self._position else None

    def _decoded(self) -> Iterator[tuple[av.VideoFrame, Nanos]]:
        for packet in self._container.demux(self._stream):
            if packet.is_keyframe:
                self._intact = True
            elif not self._intact and packet.size:
                continue
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self.broken += 1
                self._intact = False
                continue
            for frame in frames:
                if not isinstance(frame, av.VideoFrame) or frame.pts is None:
                    continue
                if frame.is_corrupt:
                    self.broken += 1
                    self._intact = False
                    break
                yield frame, frame.pts * self._scale[0] // self._scale[1]


def _only(container: Any, number: int) -> Any:
    """The stream of a number among those of pictures; the others are not even read."""
    chosen = container.streams.video[number]
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = Discard.all
    return chosen


def _packets(clip: Clip) -> Iterator[tuple[Nanos, bool]]:
    """File time of every packet, and whether it is a keyframe."""
    with av.open(str(clip.path)) as container:
        stream = _only(container, clip.stream)
        for packet in container.demux(stream):
            if packet.pts is not None:
                yield int(packet.pts * stream.time_base * SECOND), packet.is_keyframe
