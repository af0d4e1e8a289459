"""The pipeline document: HOW a room becomes media. Loading and checking; the rules across fields are in rules.py."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from egress.model.look import AnyLayout, AnyOverlay, AnyTheme, CardsDoc, Document, GridDoc, RoleDoc, ThemeDoc, TilesDoc
from egress.model.media import SECOND, Size
from egress.model.units import Bitrate, Duration, FrameRate, PixelSize

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Lower-case letters, digits, dashes.")]


class Select(Document):
    """Who is shown and heard; default everyone."""

    roles: tuple[str, ...] | None = Field(None, description="Only peers in these roles; default every role.")
    names: tuple[str, ...] | None = Field(
        None, description="Only peers whose name fits one of these patterns (* and ?, small and capitals alike)."
    )
    sources: tuple[Literal["camera", "mic", "screen", "screen_audio"], ...] | None = Field(
        None, description="Only these sources of tracks; default all."
    )


class Video(Document):
    """The picture and its encoding."""

    size: PixelSize = Field(Size(1280, 720), description="Width x height, both even; up to 3840x2160 pixels.")
    fps: FrameRate = Field(Fraction(30), description="Pictures per second, 1 to 60, exactly.")
    bitrate: Bitrate = Field(3_000_000, description="Bits per second, 50k to 100M: 3M suits 1280x720.")
    keyframe: Duration = Field(2 * SECOND, description="Exact distance of keyframes.")
    codec: Literal["h264"] = Field("h264", description="What every player knows.")
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        Field("superfast", description="x264 preset: slower looks better at the same bitrate, for more CPU.")
    )
    tune: Literal["zerolatency", "none"] = Field("zerolatency", description="none allows look-ahead and B-frames.")
    profile: Literal["baseline", "main", "high"] = Field("high", description="Lower ones are for very old players.")


class Audio(Document):
    """The mixed sound and its encoding."""

    rate: Literal[48000] = Field(48_000, description="Samples per second.")
    channels: Literal[1, 2] = Field(2, description="1 mixes down to mono.")
    bitrate: Bitrate = Field(128_000, description="Bits per second; for aac at least 24k.")
    codec: Literal["aac", "opus"] = Field("aac", description="opus sounds better at low bitrates; RTMP takes only aac.")


class SinkDoc(Document):
    """What every sink says: where it writes, and whether the job fails with it."""

    kind: str = Field(description="A registered sink.")
    to: str = Field(min_length=1, description="Path under the output folder, or an address; may hold placeholders.")
    required: bool = Field(True, description="false: the job goes on and counts as done when this sink fails.")


class Mp4Doc(SinkDoc):
    """One MP4 file: crash-safe while it grows, an ordinary seekable file afterwards."""

    kind: Literal["mp4"] = Field(description="This kind of sink.")
    fragment: Duration = Field(2 * SECOND, description="At most this much is lost in a crash.")


class HlsDoc(SinkDoc):
    """Low-latency HLS, CMAF, audio and video apart; `to` is a folder."""

    kind: Literal["hls"] = Field(description="This kind of sink.")
    part: Duration = Field(500_000_000, description="Unit of delivery, whole pictures; viewers are 3 to 4 behind.")
    segment: Duration = Field(4 * SECOND, description="A multiple of video.keyframe, 1s to 20s.")
    window: Duration = Field(15 * 60 * SECOND, description="How far back a live viewer can seek (sliding playlist).")
    playlist: Literal["sliding", "event"] = Field("event", description="event keeps everything from the start.")
    vod: bool = Field(True, description="Rewrite the playlists as VOD when the job ends (event playlists only).")


class RtmpDoc(SinkDoc):
    """An external stream to an RTMP(S) server, or youtube://KEY and the like; keys are redacted everywhere."""

    kind: Literal["rtmp"] = Field(description="This kind of sink.")
    to: str = Field(min_length=1, description="rtmp(s):// address, or {rtmp}: those given when the job starts.")
    required: bool = Field(False, description="true: the job fails when this stream does.")


class OtherSinkDoc(SinkDoc):
    """A sink registered by another package; its options are checked by the sink."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Stop(Document):
    """When a job ends by itself."""

    empty_for: Duration = Field(5 * 60 * SECOND, description="End when nobody has been there for this long; 0s never.")
    lost_for: Duration = Field(
        5 * 60 * SECOND, description="End when the room could not be reached for this long; 0s never."
    )
    max: Duration = Field(12 * 3600 * SECOND, description="End after this long in any case.")


_OURS = ("mp4", "hls", "rtmp")


def _kind(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if kind in _OURS else "other"


AnySink = Annotated[
    Annotated[Mp4Doc, Tag("mp4")]
    | Annotated[HlsDoc, Tag("hls")]
    | Annotated[RtmpDoc, Tag("rtmp")]
    | Annotated[OtherSinkDoc, Tag("other")],
    Discriminator(_kind),
]


class Pipeline(Document):
    """A whole pipeline document. `video: null` makes it audio only."""

    name: Name
    about: str = Field("", max_length=500, description="What it makes, in a sentence.")
    select: Select = Field(Select(), description="Who is shown and heard.")
    layout: AnyLayout = Field(GridDoc(), description="How peers are arranged.")
    tiles: TilesDoc = Field(TilesDoc(), description="Names, marks and borders of tiles.")
    theme: AnyTheme = Field(ThemeDoc(), description="Colours: dark, light, or your own.")
    overlays: tuple[AnyOverlay, ...] = Field((), max_length=16, description="What lies above the tiles.")
    cards: CardsDoc = Field(CardsDoc(), description="What fills the canvas at certain times.")
    roles: dict[str, RoleDoc] = Field({}, max_length=32, description="What is particular about peers of a role.")
    video: Video | None = Field(Video(), description="The picture; null makes it audio only.")
    audio: Audio = Field(Audio(), description="The sound.")
    sinks: tuple[AnySink, ...] = Field(min_length=1, description="The outputs, one or more.")
    stop: Stop = Field(Stop(), description="When it is over.")
    delay: Duration = Field(
        400_000_000, description="How long the picture waits for late packets; more survives worse networks."
    )
