"""The newest picture of a job at a glance: a small JPEG in its folder, for whoever looks over many jobs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from egress.disk import write_whole
from egress.model.errors import DestinationError
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Packet, Size, StreamInfo
from egress.sinks.base import Sink
from egress.sinks.keyframes import KeyframeDecoder, fitting, image, jpeg

FILE = "latest.jpg"

EVERY: Nanos = 5 * SECOND
"""Distance of pictures; keyframes between are not decoded."""

_BOX = Size(480, 270)
_QUALITY = 75


class Glance(Sink):
    """Decodes a keyframe now and then, and keeps no other picture than the last; makes no artifact.

    A picture that cannot be read or written is passed over: nothing depends on it.
    """

    backlog = 8

    _decoder: KeyframeDecoder | None = None
    _size = _BOX
    _base = Fraction(1)
    _due: Nanos = 0

    @classmethod
    def takes(cls, info: StreamInfo) -> bool:
        """The picture alone."""
        return info.kind == "video" and info.rung == 0

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Get ready, if there is a picture."""
        for info in programme:
            assert info.size is not None
            self._decoder, self._size, self._base = KeyframeDecoder(info), fitting(info.size, _BOX), info.time_base

    def write(self, packet: Packet) -> None:
        """Take a picture when one is due."""
        at = int(packet.pts * self._base * SECOND)
        if self._decoder is None or not packet.key or at < self._due:
            return
        self._due = at + EVERY
        try:
            picture = image(self._decoder.decode(packet), self._size)
            write_whole(Path(self.context.to), jpeg(picture, _QUALITY))
        except (DestinationError, OSError):
            return

    def close(self) -> Sequence[Artifact]:
        """Leave the last picture where it is."""
        return ()

    def abort(self) -> Sequence[Artifact]:
        """Leave the last picture where it is."""
        return ()
