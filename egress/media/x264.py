"""libx264 as the programme opens it, and a second one that does the same stream for less."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from typing import Final

import av
from av.codec.context import Flags, ThreadType

from egress.media.planes import BT709, LIMITED
from egress.model.errors import RequestError
from egress.model.media import SECOND
from egress.model.pipeline import Video

_ROWS_PER_SLICE = 360
_LIGHT: Final = ("ultrafast", "superfast")
"""Presets of which one thread makes twice the rows in the time of a picture: a second one costs 5 % more CPU."""

_HASTY: Final = "subme=0:me=dia:partitions=none:trellis=0:mixed-refs=0:direct=spatial:mbtree=0:rc-lookahead=0:b-adapt=0"
"""Searches less, decides faster, looks less far ahead. All else is the preset's: profile, level, references, B-frames,
entropy coding, transforms and weights stand in the stream's headers, which its containers were given at the start."""

_WEIGHS_CHROMA: Final = ("fast", "medium", "slow", "slower", "veryslow")
"""Presets whose motion search minds how a picture looks (subme of 6 and more): x264 then quantizes chroma by two steps
less, and says so in the picture parameter set."""


def keyint(doc: Video) -> int:
    """How many pictures there are from one regular keyframe to the next."""
    return max(1, round(doc.fps * doc.keyframe / SECOND))


class X264:
    """One libx264 encoder. `headers` are the stream's parameter sets (ITU-T H.264 Annex B)."""

    def __init__(self, doc: Video, *, hasty: bool = False, follows: bool = False) -> None:
        """`hasty`: less CPU and a worse picture at the same bitrate, in a stream with the same headers, most likely.
        `follows`: it takes over from another, whose bits may still fill half of the receivers' buffer.

        Raises RequestError when libx264 refuses the document.
        """
        # The stream lives in a container that is never muxed: only so does libav give it a global header.
        self._container = av.open(io.BytesIO(), "w", format="mp4")
        self.stream = self._container.add_stream("libx264", rate=doc.fps)
        context = self.stream.codec_context
        context.width, context.height, context.pix_fmt = doc.size.width, doc.size.height, "yuv420p"
        context.time_base = 1 / doc.fps
        context.sample_aspect_ratio = Fraction(1)
        context.color_range = LIMITED
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.flags |= Flags.closed_gop
        cpus = os.cpu_count() or 1
        if doc.tune == "zerolatency":
            # Every slice costs quality, and more threads than the picture has work for cost CPU.
            context.thread_type = ThreadType.SLICE
            rows = _ROWS_PER_SLICE * (2 if doc.preset in _LIGHT and doc.fps <= 30 else 1)
            context.thread_count = max(1, min(cpus, doc.size.height // rows))
        else:
            context.thread_type = ThreadType.FRAME
            context.thread_count = min(cpus + 1, 8)
        distance = keyint(doc)
        self.stream.bit_rate = doc.bitrate
        context.options = {
            "preset": doc.preset,
            "profile": doc.profile,
            "forced-idr": "1",
            # Half a second of buffer bounds any 2 s at 1.25 times the bitrate, whatever the picture does.
            "maxrate": str(doc.bitrate),
            "bufsize": str(doc.bitrate // 2),
            "x264-params": f"keyint={distance}:min-keyint={distance}:scenecut=0:open-gop=0:force-cfr=1"
            + (_hasty(doc) if hasty else "")
            + (":vbv-init=0.5" if follows else ""),
            **({"tune": doc.tune} if doc.tune != "none" else {}),
        }
        context.gop_size = distance
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            message = (
                f"the video cannot be encoded as {doc.size} {doc.profile}: {error}; choose another size or profile"
            )
            raise RequestError(message, (("video", message),)) from error
        self.headers = context.extradata or b""


def _hasty(doc: Video) -> str:
    chroma = ":chroma-qp-offset=-2" if doc.preset in _WEIGHS_CHROMA else ""
    return f":{_HASTY}{chroma}"
