"""The pipeline document: HOW a room becomes media. Loading and checking; the rules across fields are in rules.py."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from egress.model.look import AnyLayout, AnyOverlay, AnyTheme, CardsDoc, Document, GridDoc, RoleDoc, ThemeDoc, TilesDoc
from egress.model.media import SECOND, Size
from egress.model.outputs import AnySink
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


class RungDoc(Document):
    """One smaller picture of the ladder, scaled from the programme and encoded beside it."""

    size: PixelSize = Field(description="Smaller than video.size, of its shape.")
    bitrate: Bitrate = Field(description="Bits per second.")


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
    ladder: tuple[RungDoc, ...] = Field(
        (), max_length=5, description="Smaller pictures for HLS, each encoded of its own: larger ones first."
    )


class Audio(Document):
    """The mixed sound and its encoding."""

    rate: Literal[48000] = Field(48_000, description="Samples per second.")
    channels: Literal[1, 2] = Field(2, description="1 mixes down to mono.")
    bitrate: Bitrate = Field(128_000, description="Bits per second; for aac at least 24k.")
    codec: Literal["aac", "opus"] = Field("aac", description="opus sounds better at low bitrates; RTMP takes only aac.")


class Stop(Document):
    """When a job ends by itself."""

    empty_for: Duration = Field(5 * 60 * SECOND, description="End when nobody has been there for this long; 0s never.")
    lost_for: Duration = Field(
        5 * 60 * SECOND, description="End when the room could not be reached for this long; 0s never."
    )
    max: Duration = Field(12 * 3600 * SECOND, description="End after this long in any case.")


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

    overload: Literal["degrade", "off"] = Field(
        "degrade",
        description="Under overload, degrade gives up quality step by step; off repeats pictures at full quality.",
    )

    @property
    def composed(self) -> bool:
        """Whether anything is made of the room: a picture and a sound for at least one output."""
        return any(sink.kind != "tracks" for sink in self.sinks)

    @property
    def passed(self) -> bool:
        """Whether tracks are passed on to an output as they were sent."""
        return any(sink.kind == "tracks" for sink in self.sinks)
