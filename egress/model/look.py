"""How the programme looks, as a pipeline document says it: layout, tiles, theme, overlays, cards, roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag

from egress.model.media import MILLISECOND, SECOND
from egress.model.units import Duration

Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", examples=["#101418"])]
Share = Annotated[float, Field(gt=0, le=1)]
Text = Annotated[str, StringConstraints(strip_whitespace=True)]
Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
Place = Literal["top-left", "top", "top-right", "left", "centre", "right", "bottom-left", "bottom", "bottom-right"]
Fit = Literal["cover", "contain"]


class Document(BaseModel):
    """A part of a pipeline document: nothing unknown in it, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LayoutDoc(Document):
    """What every layout says: how tiles are spaced and filled."""

    kind: str = Field("grid", description="A registered layout.")
    gap: int = Field(8, ge=0, le=200, description="Pixels between tiles.")
    margin: int = Field(0, ge=0, le=400, description="Pixels around all tiles.")
    fit: Fit = Field("cover", description="cover crops to fill the tile, contain shows all; screens are contained.")
    most: int = Field(49, ge=1, le=49, description="At most so many tiles; the rest is counted in the last one.")
    screens: Literal["stage", "tile"] = Field(
        "stage", description="stage: a shared screen takes the stage, others go to a strip; tile: a tile like others."
    )


class GridDoc(LayoutDoc):
    """Everyone in equal tiles."""

    kind: Literal["grid"] = Field("grid", description="This kind of layout.")


class _WithStrip(LayoutDoc):
    strip: Literal["auto", "side", "bottom", "none"] = Field(
        "auto", description="Where the others are: auto is side on wide canvases, bottom on tall ones."
    )
    share: float = Field(0.22, ge=0.05, le=0.5, description="How much of the canvas the strip takes, at least.")


class SpeakerDoc(_WithStrip):
    """Who speaks on a large stage, the others in a strip."""

    kind: Literal["speaker"] = Field(description="This kind of layout.")
    single: bool = Field(False, description="true: the stage only.")


class ScreenDoc(_WithStrip):
    """The shared screen on the stage, all of it, others in a strip; `otherwise` while nobody shares."""

    kind: Literal["screen"] = Field(description="This kind of layout.")
    otherwise: Literal["grid", "speaker"] = Field("grid", description="What is shown while nobody shares a screen.")


class PipDoc(LayoutDoc):
    """One fills the canvas (a shared screen, else who speaks), another is inset in a corner."""

    kind: Literal["pip"] = Field(description="This kind of layout.")
    corner: Corner = Field("bottom-right", description="Where the inset is.")
    share: float = Field(0.25, ge=0.05, le=0.5, description="Width of the inset as a part of the canvas's.")


class SpotlightDoc(_WithStrip):
    """Named peers or roles are large, the others in a strip."""

    kind: Literal["spotlight"] = Field(description="This kind of layout.")
    peers: tuple[str, ...] = Field((), max_length=9, description="Names or ids of the peers on the stage.")
    roles: tuple[str, ...] = Field((), max_length=9, description="Roles whose peers are on the stage.")


class ColumnsDoc(LayoutDoc):
    """Full-height columns side by side (rows on tall canvases), as in an interview."""

    kind: Literal["columns"] = Field(description="This kind of layout.")
    most: int = Field(4, ge=1, le=8, description="At most so many columns; the rest is counted in the last one.")


class BoxDoc(Document):
    """A box of a custom layout in fractions of the canvas, and who is in it."""

    x: float = Field(ge=0, lt=1, description="Left edge.")
    y: float = Field(ge=0, lt=1, description="Top edge.")
    width: Share = Field(description="Width.")
    height: Share = Field(description="Height.")
    role: str | None = Field(None, description="The first peer of this role that has no box yet.")
    name: str | None = Field(None, description="The peer whose name fits this pattern (* and ?).")
    screen: bool = Field(False, description="true: a shared screen; anybody while there is none.")
    fit: Fit | None = Field(None, description="As layout.fit, for this box.")


class CustomDoc(LayoutDoc):
    """Boxes of your own. One without role, name or screen takes the next peer in order."""

    kind: Literal["custom"] = Field(description="This kind of layout.")
    boxes: tuple[BoxDoc, ...] = Field(min_length=1, max_length=49, description="The boxes; later ones lie above.")


class OtherLayoutDoc(LayoutDoc):
    """A layout registered by another package; its options are checked by the layout."""

    model_config = ConfigDict(extra="allow", frozen=True)


LAYOUTS: dict[str, type[LayoutDoc]] = {
    "grid": GridDoc,
    "speaker": SpeakerDoc,
    "screen": ScreenDoc,
    "pip": PipDoc,
    "spotlight": SpotlightDoc,
    "columns": ColumnsDoc,
    "custom": CustomDoc,
}
"""The document of each of our layouts."""


def _layout_kind(value: Any) -> str:
    kind = value.get("kind", "grid") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in LAYOUTS else "other"


AnyLayout = Annotated[
    Annotated[GridDoc, Tag("grid")]
    | Annotated[SpeakerDoc, Tag("speaker")]
    | Annotated[ScreenDoc, Tag("screen")]
    | Annotated[PipDoc, Tag("pip")]
    | Annotated[SpotlightDoc, Tag("spotlight")]
    | Annotated[ColumnsDoc, Tag("columns")]
    | Annotated[CustomDoc, Tag("custom")]
    | Annotated[OtherLayoutDoc, Tag("other")],
    Discriminator(_layout_kind),
]


class TilesDoc(Document):
    """How each tile looks."""

    labels: bool = Field(True, description="Show each peer's name.")
    marks: bool = Field(True, description="Mark who is muted, has the camera off, or has lost the connection.")
    speaking: bool = Field(True, description="A border around who speaks.")
    radius: int = Field(8, ge=0, le=200, description="Radius of rounded corners in pixels.")
    border: int = Field(0, ge=0, le=20, description="Width of a border around every tile in pixels.")
    avatars: Literal["initials", "pictures"] = Field(
        "initials", description="What stands for a camera that is off; pictures are fetched from where the room says."
    )
    transition: Duration = Field(250 * MILLISECOND, description="Cross-fade when tiles re-flow, up to 1s; 0s is off.")


@dataclass(frozen=True, slots=True)
class Palette:
    """Every colour of a theme, '#rrggbb'."""

    background: str
    surface: str
    """Tiles without a picture, cards, bars."""
    text: str
    quiet: str
    """Text that is not to be noticed first."""
    label: str
    """The pill behind a name."""
    label_text: str
    speaking: str
    muted: str
    border: str


PALETTES = {
    "dark": Palette(
        background="#101418",
        surface="#22262a",
        text="#f2f4f6",
        quiet="#aab2ba",
        label="#000000",
        label_text="#ffffff",
        speaking="#4cc38a",
        muted="#ff6b6b",
        border="#3a4148",
    ),
    "light": Palette(
        background="#eef1f4",
        surface="#d9dee3",
        text="#14181c",
        quiet="#4d565f",
        label="#ffffff",
        label_text="#14181c",
        speaking="#0b7a4b",
        muted="#b3261e",
        border="#b4bcc4",
    ),
}


class ThemeDoc(Document):
    """Colours of everything that is not somebody's picture. `theme: light` is short for `theme: {base: light}`."""

    base: Literal["dark", "light"] = Field("dark", description="Where colours not given here come from.")
    background: Colour | None = Field(None, description="The canvas.")
    surface: Colour | None = Field(None, description="Tiles without a picture, bars and cards.")
    text: Colour | None = Field(None, description="Text on surfaces and the canvas.")
    quiet: Colour | None = Field(None, description="Text that is not to be noticed first.")
    label: Colour | None = Field(None, description="The pill behind a name.")
    label_text: Colour | None = Field(None, description="The name on it.")
    speaking: Colour | None = Field(None, description="The border around who speaks.")
    muted: Colour | None = Field(None, description="The mark of who is muted.")
    border: Colour | None = Field(None, description="The border of tiles.")
    image: str | None = Field(None, description="A PNG, JPEG or WebP file behind all tiles, covering the canvas.")

    @property
    def palette(self) -> Palette:
        """All colours, those not given taken from the base."""
        base = PALETTES[self.base]
        names = Palette.__dataclass_fields__
        return Palette(**{name: getattr(self, name) or getattr(base, name) for name in names})


AnyTheme = Annotated[ThemeDoc, BeforeValidator(lambda v: {"base": v} if isinstance(v, str) else v)]


class OverlayDoc(Document):
    """What every overlay says; `id` is how live control names it."""

    id: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="A name for changing it live.")
    opacity: Share = Field(1.0, description="1 hides what is beneath.")


class ImageOverlay(OverlayDoc):
    """A logo or any other picture."""

    kind: Literal["image"] = Field(description="This kind of overlay.")
    image: str = Field(min_length=1, description="A PNG, JPEG or WebP file, beside the pipeline or in the assets.")
    place: Place = Field("top-right", description="Where on the canvas.")
    width: float = Field(0.12, ge=0.01, le=1, description="Width as a part of the canvas's.")
    margin: int = Field(24, ge=0, le=400, description="Pixels to the canvas's edges.")


class TitleOverlay(OverlayDoc):
    """A bar with a title across the canvas."""

    kind: Literal["title"] = Field(description="This kind of overlay.")
    text: Text = Field(min_length=1, max_length=200, description="The title; placeholders as in `to`.")
    place: Literal["top", "bottom"] = Field("top", description="Which edge.")


class ClockOverlay(OverlayDoc):
    """The time of day."""

    kind: Literal["clock"] = Field(description="This kind of overlay.")
    format: str = Field("%H:%M:%S", max_length=40, description="As strftime: %H:%M, %Y-%m-%d %H:%M:%S.")
    zone: str = Field("UTC", description="IANA time zone, like Europe/Berlin.")
    place: Place = Field("top-left", description="Where on the canvas.")


class WatermarkOverlay(OverlayDoc):
    """Faint text over the picture, once or tiled all over."""

    kind: Literal["watermark"] = Field(description="This kind of overlay.")
    text: Text = Field(min_length=1, max_length=80, description="The text; placeholders as in `to`.")
    opacity: Share = Field(0.18, description="1 hides what is beneath.")
    place: Place | Literal["everywhere"] = Field("centre", description="Where on the canvas.")


class LowerThirdOverlay(OverlayDoc):
    """Who or what this is, in two lines at the bottom."""

    kind: Literal["lower-third"] = Field(description="This kind of overlay.")
    title: Text = Field(min_length=1, max_length=80, description="First line; placeholders as in `to`.")
    subtitle: Text = Field("", max_length=120, description="Second line.")
    place: Literal["left", "right"] = Field("left", description="Which side.")


OVERLAYS: dict[str, type[OverlayDoc]] = {
    "image": ImageOverlay,
    "title": TitleOverlay,
    "clock": ClockOverlay,
    "watermark": WatermarkOverlay,
    "lower-third": LowerThirdOverlay,
}
"""The document of each kind of overlay."""

AnyOverlay = Annotated[
    ImageOverlay | TitleOverlay | ClockOverlay | WatermarkOverlay | LowerThirdOverlay, Field(discriminator="kind")
]


class CardDoc(Document):
    """A picture of text, and perhaps an image, that fills the canvas."""

    title: Text = Field("", max_length=120, description="Large line; placeholders as in `to`.")
    text: Text = Field("", max_length=240, description="Smaller line below.")
    image: str | None = Field(None, description="A PNG, JPEG or WebP file behind the text, covering the canvas.")


class TimedCard(CardDoc):
    """A card shown for a while."""

    duration: Duration = Field(3 * SECOND, description="How long it is shown, up to 30s.")


class CardsDoc(Document):
    """Cards at the beginning, at the end, while nobody has published and while paused."""

    start: TimedCard | None = Field(None, description="Shown first, with the room's sound already under it.")
    end: TimedCard | None = Field(None, description="Shown after the job was asked to stop, in silence.")
    waiting: CardDoc = Field(CardDoc(title="Waiting for participants"), description="While nobody has published.")
    paused: CardDoc = Field(CardDoc(title="Paused"), description="What live viewers see while the job is paused.")


class RoleDoc(Document):
    """What is particular about peers of one role."""

    show: bool = Field(True, description="false: not seen.")
    hear: bool = Field(True, description="false: not heard.")
    prominence: int = Field(0, ge=-10, le=10, description="Higher ones come first, and on a stage if there is one.")
    accent: Colour | None = Field(None, description="Colour of the line under the name and of the initials.")
    pan: Literal["both", "left", "right"] = Field(
        "both", description="left or right: this role's sound, as mono, on one side only (interpreters, agents)."
    )
