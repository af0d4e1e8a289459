"""The picture of a programme in every size it is wanted in: drawn once, each size scaled and encoded by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import av

from egress.media.encoder import VideoEncoder
from egress.media.encoding import OnError, OnPacket
from egress.model.media import Nanos, StreamInfo
from egress.model.pipeline import Video


class Ladder:
    """The programme's encoder, and one for each smaller picture, which scales what it encodes on its own thread.

    All of them get the same pictures under the same numbers, and keyframes at the same ones. A smaller one that cannot
    keep up repeats pictures, and is counted; it never holds up the others.
    """

    def __init__(self, doc: Video, on_packet: OnPacket, *, on_error: OnError | None = None) -> None:
        """Raises RequestError when libx264 refuses one of the documents."""
        self.main = VideoEncoder(doc, on_packet, on_error=on_error)
        self._encoders = (self.main, *self._rungs(doc, on_packet, on_error))

    @property
    def infos(self) -> tuple[StreamInfo, ...]:
        """The streams, the programme's own first, then as the document lists them."""
        return tuple(encoder.info for encoder in self._encoders)

    def offer(self, n: int, canvas: av.VideoFrame, *, patience: float = 0.0) -> bool:
        """Have picture n encoded in every size; False when the programme's own encoder refused it."""
        taken = self.main.offer(n, canvas, patience=patience)
        for encoder in self._encoders[1:]:
            # Whoever has to be waited for is the programme's own encoder: the others repeat.
            encoder.offer(n, canvas)
        return taken

    def key(self, n: int) -> None:
        """Have picture n be a keyframe in every size besides the regular ones."""
        for encoder in self._encoders:
            encoder.key(n)

    def hasten(self, hasty: bool) -> None:
        """Encode every size for less CPU from its next regular keyframe on, or as the document says again."""
        for encoder in self._encoders:
            encoder.hasten(hasty)

    @property
    def busy(self) -> Nanos:
        """How long encoding has taken, of the size it took longest for; read from any thread."""
        return max(encoder.busy for encoder in self._encoders)

    @property
    def waiting(self) -> int:
        """How many pictures wait to be encoded, in the size where most do; read from any thread."""
        return max(encoder.waiting for encoder in self._encoders)

    @property
    def refused(self) -> int:
        """How many pictures there was no room for, in all sizes; read from any thread."""
        return sum(encoder.refused for encoder in self._encoders)

    def close(self, total: int) -> None:
        """End every stream at `total` pictures, and wait for the last packets."""
        for encoder in self._encoders:
            encoder.begin_close(total)
        for encoder in self._encoders:
            encoder.close(total)

    def stats(self) -> Mapping[str, Mapping[str, int]]:
        """The counters of each encoder by its stream."""
        return {encoder.id: encoder.stats() for encoder in self._encoders}

    @staticmethod
    def _rungs(doc: Video, on_packet: OnPacket, on_error: OnError | None) -> Iterator[VideoEncoder]:
        for number, rung in enumerate(doc.ladder, 1):
            smaller = doc.model_copy(update={"size": rung.size, "bitrate": rung.bitrate, "ladder": ()})
            yield VideoEncoder(smaller, on_packet, id=f"video-{number}", on_error=on_error, rung=number)
