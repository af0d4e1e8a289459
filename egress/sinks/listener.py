"""The programme's sound decoded packet by packet, in its place in time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from egress.model.errors import DestinationError
from egress.model.media import Codec, Packet, StreamInfo

_DECODERS = {"aac": "aac", "opus": "libopus"}

Sound = tuple[int, NDArray[np.float32]]
"""Which sample of the programme it begins with, and samples of shape (channels, samples)."""


class Listener:
    """Decodes one stream of sound; what lies before time 0 is the encoder's own and left out."""

    def __init__(self, info: StreamInfo) -> None:
        context = av.CodecContext.create(_DECODERS[info.codec], "r")
        assert isinstance(context, av.AudioCodecContext)
        if info.codec is not Codec.OPUS:
            # libav would leave Opus's priming out by what its header says, and not say that it did.
            context.extradata = info.extradata
        context.sample_rate = info.rate
        context.layout = "mono" if info.channels == 1 else "stereo"
        self._context = context
        self._base = Fraction(1, info.rate)
        self._resampler = av.AudioResampler("fltp", context.layout, info.rate)

    def hear(self, packet: Packet) -> Iterator[Sound]:
        """The sound of one packet; raises DestinationError when it cannot be decoded."""
        made = av.Packet(packet.data)
        made.pts = made.dts = packet.pts
        made.time_base = self._base
        try:
            for frame in self._context.decode(made):
                begin = packet.pts if frame.pts is None else frame.pts
                for plain in self._resampler.resample(frame):
                    sound = plain.to_ndarray().astype(np.float32, copy=False)
                    cut = max(0, -begin)
                    if cut < sound.shape[1]:
                        yield begin + cut, sound[:, cut:]
                    begin += sound.shape[1]
        except av.FFmpegError as error:
            raise DestinationError(f"the sound cannot be decoded: {error.strerror}") from error
