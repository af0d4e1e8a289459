"""The sound alone as one file: .m4a and .ogg of the programme's own packets where they fit, else by ffmpeg."""

from __future__ import annotations

from collections.abc import Sequence

from egress.model.audio_files import ending, wanted
from egress.model.errors import DestinationError, Fault
from egress.model.media import StreamInfo
from egress.model.outputs import AudioFileDoc
from egress.sinks.afterwards import AfterwardsSink, Work
from egress.sinks.ffmpeg import Recipe

_FORMS = {".m4a": "ipod", ".ogg": "ogg", ".mp3": "mp3"}
_OPTIONS: dict[str, dict[str, str | int]] = {
    ".m4a": {"movflags": "+faststart"},
    ".ogg": {},
    ".mp3": {"id3v2_version": 3},
}


class AudioFileSink(AfterwardsSink):
    """Records the sound as MP4, which is what .m4a is; the others are made of it once the job has ended."""

    @classmethod
    def takes(cls, info: StreamInfo) -> bool:
        """The sound alone."""
        return info.kind == "audio" and info.rung == 0

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Begin to record; raises DestinationError when there is no sound, the target is taken or the spool refuses."""
        super().open([info for info in programme if self.takes(info)])

    def work(self, programme: Sequence[StreamInfo]) -> Work:
        """The packets as they are, or encoded again for another codec or bit rate."""
        if not isinstance(self.doc, AudioFileDoc):
            raise Fault(f"an audio sink was given a {type(self.doc).__name__}")
        if not programme:
            raise DestinationError("a programme without sound makes no audio file")
        kind, (sound,) = ending(self.context.to), programme
        encoder = wanted(self.doc.model_copy(update={"to": self.context.to}), sound.codec)
        if encoder is None:
            return Work(f"sound{kind}", None if kind == ".m4a" else Recipe(("a",), _FORMS[kind]))
        if not self.context.options.get("ffmpeg"):
            raise DestinationError(f"{kind} of {sound.codec} is made by ffmpeg, and there is none here")
        options: dict[str, str | int] = {"c:a": encoder, "b:a": self.doc.bitrate or sound.bitrate, **_OPTIONS[kind]}
        return Work(f"sound{kind}", Recipe(("a",), _FORMS[kind], options), self.context.options["ffmpeg"])
