"""One WebM file, VP8 or VP9 with Opus: encoded by ffmpeg once the job has ended, of a recording in the spool."""

from __future__ import annotations

from collections.abc import Sequence

from egress.model.errors import DestinationError, Fault
from egress.model.media import Codec, StreamInfo
from egress.model.outputs import WebmDoc
from egress.sinks.afterwards import AfterwardsSink, Work
from egress.sinks.ffmpeg import Recipe

_ENCODERS: dict[str, dict[str, str | int]] = {
    "vp9": {"c:v": "libvpx-vp9", "deadline": "realtime", "cpu-used": 6, "row-mt": 1},
    "vp8": {"c:v": "libvpx", "deadline": "good", "cpu-used": 5, "auto-alt-ref": 1},
}
"""Encoders and how they work. Measured at 1280x720 and 2 Mbit/s, VP9's fastest `good` takes five times the processor of
this (3 against 0.6 seconds a second) for an SSIM of 0.937 instead of 0.930, and makes larger files."""

_KEYFRAME_SECONDS = 4


class WebmSink(AfterwardsSink):
    """Records as MP4, and has ffmpeg make the WebM at the lowest priority; pictures keep their times."""

    def work(self, programme: Sequence[StreamInfo]) -> Work:
        """Pictures encoded again; sound too, unless it is Opus already."""
        if not isinstance(self.doc, WebmDoc):
            raise Fault(f"a webm sink was given a {type(self.doc).__name__}")
        picture = next((info for info in programme if info.kind == "video"), None)
        sound = next((info for info in programme if info.kind == "audio"), None)
        if picture is None or picture.size is None or picture.fps is None:
            raise DestinationError("a programme without picture makes no WebM; use kind: audio for the sound")
        if not self.context.options.get("ffmpeg"):
            raise DestinationError("WebM is made by ffmpeg, and there is none here")
        options: dict[str, str | int] = {
            **_ENCODERS[self.doc.codec],
            "b:v": self.doc.bitrate or picture.bitrate,
            "g": round(_KEYFRAME_SECONDS * picture.fps),
            "fps_mode": "passthrough",
        }
        if self.doc.codec == "vp9":
            # A tile is at least 256 pixels wide (VP9 bitstream specification, 6.2).
            options["tile-columns"] = max(0, (picture.size.width // 256).bit_length() - 1)
        if sound is not None:
            options |= {"c:a": "copy"} if sound.codec is Codec.OPUS else {"c:a": "libopus", "b:a": sound.bitrate}
        streams = ("v", "a") if sound is not None else ("v",)
        return Work("programme.webm", Recipe(streams, "webm", options), self.context.options["ffmpeg"])
