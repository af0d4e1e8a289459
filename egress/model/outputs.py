"""The outputs a pipeline may name: a document for each kind of sink. The rules across fields are in rules.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from egress.model.look import Document
from egress.model.media import SECOND, Size
from egress.model.units import Bitrate, Duration, PixelSize


class SinkDoc(Document):
    """What every sink says: where it writes, and whether the job fails with it."""

    kind: str = Field(description="A registered sink.")
    to: str = Field(min_length=1, description="Path under the output folder, or an address; may hold placeholders.")
    required: bool = Field(True, description="false: the job goes on and counts as done when this sink fails.")


class FileDoc(SinkDoc):
    """What every sink says that leaves files at a place."""

    backup: str | None = Field(
        None, min_length=1, description="Where it goes when `to` cannot be written: a path or an address."
    )


class Mp4Doc(FileDoc):
    """One MP4 file: crash-safe while it grows, an ordinary seekable file afterwards."""

    kind: Literal["mp4"] = Field(description="This kind of sink.")
    fragment: Duration = Field(2 * SECOND, description="At most this much is lost in a crash.")


class CaptionsDoc(Document):
    """A track of captions, fed by commands while the job runs."""

    language: str = Field(
        "en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="As in RFC 5646: en, pt-BR."
    )
    name: str = Field("", max_length=64, description="What players show; default the language.")


class HlsDoc(FileDoc):
    """Low-latency HLS, CMAF, audio and video apart; `to` is a folder."""

    kind: Literal["hls"] = Field(description="This kind of sink.")
    part: Duration = Field(500_000_000, description="Unit of delivery, whole pictures; viewers are 3 to 4 behind.")
    segment: Duration = Field(4 * SECOND, description="A multiple of video.keyframe, 1s to 20s.")
    window: Duration = Field(15 * 60 * SECOND, description="How far back a live viewer can seek (sliding playlist).")
    playlist: Literal["sliding", "event"] = Field("event", description="event keeps everything from the start.")
    vod: bool = Field(True, description="Rewrite the playlists as VOD when the job ends (event playlists only).")
    audio_only: bool = Field(False, description="Offer the sound alone as well, for poor networks.")
    single_file: bool = Field(False, description="Keep each rendition in one file, named by byte ranges.")
    id3: bool = Field(False, description="Carry timed metadata in the media too (ID3 in emsg boxes).")
    captions: tuple[CaptionsDoc, ...] = Field((), max_length=8, description="Tracks of captions (WebVTT).")


class RtmpDoc(SinkDoc):
    """An external stream to an RTMP(S) server, or youtube://KEY and the like; keys are redacted everywhere."""

    kind: Literal["rtmp"] = Field(description="This kind of sink.")
    to: str = Field(min_length=1, description="rtmp(s):// address, or {rtmp}: those given when the job starts.")
    required: bool = Field(False, description="true: the job fails when this stream does.")
    name: str = Field("", max_length=64, description="What to call it; default the address without its key.")


class SrtDoc(SinkDoc):
    """An external stream to an SRT listener, by ffmpeg; passphrases and stream ids are redacted everywhere."""

    kind: Literal["srt"] = Field(description="This kind of sink.")
    to: str = Field(min_length=1, description="srt://host:port?streamid=…&passphrase=…&latency=…, latency in ms.")
    required: bool = Field(False, description="true: the job fails when this stream does.")
    name: str = Field("", max_length=64, description="What to call it; default the address without its key.")


class AudioFileDoc(FileDoc):
    """The sound alone as one file; the ending of `to` says which: .m4a, .ogg or .mp3."""

    kind: Literal["audio"] = Field(description="This kind of sink.")
    bitrate: Bitrate | None = Field(None, description="Bits per second; default that of `audio`.")


class WebmDoc(FileDoc):
    """One WebM file, transcoded once the job has ended."""

    kind: Literal["webm"] = Field(description="This kind of sink.")
    codec: Literal["vp8", "vp9"] = Field("vp9", description="vp9 looks better at the same size, for more CPU.")
    bitrate: Bitrate | None = Field(None, description="Bits per second of the picture; default that of `video`.")


class ThumbnailsDoc(FileDoc):
    """Pictures of the programme in a folder: thumbnails, a poster, a storyboard for players' seek bars."""

    kind: Literal["thumbnails"] = Field(description="This kind of sink.")
    every: Duration = Field(10 * SECOND, description="Distance of thumbnails.")
    size: PixelSize = Field(Size(320, 180), description="The box thumbnails fit in.")
    poster: bool = Field(True, description="Keep one picture that shows what was recorded, in full size.")
    storyboard: bool = Field(True, description="Sheets of thumbnails with WebVTT that says where each is.")


class WaveformDoc(FileDoc):
    """The loudness of the sound over time: .json holds peaks for players, .png a picture."""

    kind: Literal["waveform"] = Field(description="This kind of sink.")
    every: Duration = Field(100_000_000, description="Length of one pair of peaks.")
    size: PixelSize = Field(Size(1200, 160), description="Of the picture.")


class TracksDoc(FileDoc):
    """Every track as it was sent, neither decoded nor encoded, with what aligns them later; `to` is a folder."""

    kind: Literal["tracks"] = Field(description="This kind of sink.")
    per: Literal["track", "participant"] = Field(
        "track", description="One file a track, or one file for each participant's camera and microphone."
    )


class OtherSinkDoc(SinkDoc):
    """A sink registered by another package; its options are checked by the sink."""

    model_config = ConfigDict(extra="allow", frozen=True)


SINKS: dict[str, type[SinkDoc]] = {
    "mp4": Mp4Doc,
    "hls": HlsDoc,
    "rtmp": RtmpDoc,
    "srt": SrtDoc,
    "audio": AudioFileDoc,
    "webm": WebmDoc,
    "thumbnails": ThumbnailsDoc,
    "waveform": WaveformDoc,
    "tracks": TracksDoc,
}
"""Our kinds of sinks, and the document of each."""


def _kind(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in SINKS else "other"


AnySink = Annotated[
    Annotated[Mp4Doc, Tag("mp4")]
    | Annotated[HlsDoc, Tag("hls")]
    | Annotated[RtmpDoc, Tag("rtmp")]
    | Annotated[SrtDoc, Tag("srt")]
    | Annotated[AudioFileDoc, Tag("audio")]
    | Annotated[WebmDoc, Tag("webm")]
    | Annotated[ThumbnailsDoc, Tag("thumbnails")]
    | Annotated[WaveformDoc, Tag("waveform")]
    | Annotated[TracksDoc, Tag("tracks")]
    | Annotated[OtherSinkDoc, Tag("other")],
    Discriminator(_kind),
]
