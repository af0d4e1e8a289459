"""One video track's decoder, and whether what it gives is worth looking at."""

from __future__ import annotations

from fractions import Fraction

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from egress.model.media import SECOND, Codec, EncodedFrame, Nanos

CLOCK_RATE = 90_000
_TIME_BASE = Fraction(1, CLOCK_RATE)
PATIENCE: Nanos = 3 * SECOND // 2
"""A frozen picture looks better than a smeared one, for so long; some senders give no keyframe when asked."""

MOST_PIXELS = 4096 * 4096
"""VP8 and H.264 can say 16383x16383 in a few bytes: 400 MB a picture, of which a decoder keeps several."""

_DECODERS = {Codec.VP8: "vp8", Codec.H264: "h264"}


class VideoDecoder:
    """Decodes one track in order, through losses, garbage, new streams and new sizes; used on one thread.

    After a loss or an error pictures are decoded but held back until a keyframe, at most PATIENCE.
    """

    def __init__(self) -> None:
        self.decoded = 0
        self.errors = 0
        self.undecodable = 0
        """Frames before the first keyframe, or of a codec we do not decode."""
        self.broken_since: Nanos | None = None
        """Since when (session time) pictures cannot be trusted; None while all is well."""
        self.oversized = 0
        """Frames refused because their pictures have more than MOST_PIXELS; counted among `errors` as well."""
        self.lost_keys = 0
        """Keyframes that could not be decoded: those that healed nothing."""
        self.unfiltered = False
        """Whether to leave out the loop filter, from the next keyframe on: pictures without it drift from what was
        sent until the keyframe after the last of them."""
        self._filters = True
        self._discards = False
        self._context: VideoCodecContext | None = None
        self._stream: tuple[int, Codec] | None = None
        self._keyed = False

    @property
    def wants_keyframe(self) -> bool:
        """Whether only a keyframe makes things well."""
        return self.broken_since is not None

    @property
    def renewing(self) -> bool:
        """Whether something waits for the next keyframe to take effect."""
        return self._context is not None and self._filters is self.unfiltered

    def discard(self, unneeded: bool) -> None:
        """Whether to leave out pictures that no other refers to, where the stream has any (upper temporal layers)."""
        if unneeded is not self._discards:
            self._discards = unneeded
            if self._context is not None:
                self._context.skip_frame = "NONREF" if unneeded else "DEFAULT"

    def lose(self, now: Nanos) -> None:
        """Frames were left out on purpose: what follows refers to pictures never decoded."""
        self._keyed = False
        self._doubt(now)

    def renew(self, now: Nanos) -> None:
        """Begin anew with a decoder that knows nothing, at the next keyframe: what there is cannot be trusted."""
        self.errors += 1
        self._stream = self._context = None
        self._doubt(now)

    def close(self) -> None:
        """Free what decoding holds; counters stay."""
        self._stream = self._context = None

    def decode(self, frame: EncodedFrame, now: Nanos) -> list[av.VideoFrame]:
        """The pictures of one frame that may be shown (mostly one); pts is the RTP count of each."""
        if self._stream != (frame.stream, frame.codec):
            self._renew(frame)
            self._doubt(now)
        elif frame.key and self._filters is self.unfiltered:
            # libavcodec's option is read when a decoder is opened.
            self._renew(frame)
        if self._context is None or not (frame.key or self._keyed):
            self.undecodable += 1
            self._doubt(now)
            return []
        if frame.gap and not frame.key:
            self._doubt(now)
        pictures = self._pictures(self._context, frame)
        if pictures is None:
            self.errors += 1
            self._doubt(now)
            return []
        self.decoded += len(pictures)
        if frame.key:
            self._keyed = True
            self.broken_since = None
        if any(picture.is_corrupt for picture in pictures):
            self._doubt(now)
        if self.broken_since is not None and now - self.broken_since < PATIENCE:
            return []
        return pictures

    def _pictures(self, context: VideoCodecContext, frame: EncodedFrame) -> list[av.VideoFrame] | None:
        """What a frame decodes to; None when it is broken. A broken keyframe leaves nothing to build on."""
        if not frame.data:
            return None  # libavcodec takes an empty packet for the end of the stream, and decodes nothing after it
        packet = av.Packet(frame.data)
        packet.pts = frame.rtp
        packet.time_base = _TIME_BASE
        try:
            return context.decode(packet)
        except av.FFmpegError as error:
            # Refused by its size, VP8 forgets it; H.264 keeps it.
            self.oversized += isinstance(error, av.ArgumentError) or context.width * context.height > MOST_PIXELS
            if frame.key:
                self.lost_keys += 1
                self._stream = self._context = None
            return None

    def _doubt(self, now: Nanos) -> None:
        if self.broken_since is None:
            self.broken_since = now

    def _renew(self, frame: EncodedFrame) -> None:
        self._stream = (frame.stream, frame.codec)
        self._keyed = False
        self._context = None
        if frame.codec in _DECODERS:
            context = av.CodecContext.create(_DECODERS[frame.codec], "r")
            assert isinstance(context, VideoCodecContext)
            context.thread_count = 1
            self._filters = not self.unfiltered
            context.options = {
                "max_pixels": str(MOST_PIXELS),
                **({"skip_loop_filter": "all"} if self.unfiltered else {}),
            }
            context.skip_frame = "NONREF" if self._discards else "DEFAULT"
            context.flags |= Flags.low_delay
            self._context = context
