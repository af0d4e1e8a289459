"""Fonts: the bundled ones, then those of the machine, and which of them can draw a character."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, Literal

import uharfbuzz as hb

Weight = Literal["medium", "bold"]

_LATIN: Final[dict[Weight, str]] = {"medium": "NotoSans-Medium", "bold": "NotoSans-Bold"}
_OTHERS: Final = (
    "NotoSansArabic-Regular",
    "NotoSansHebrew-Regular",
    "NotoSansDevanagari-Regular",
    "NotoSansThai-Regular",
    "NotoSansBengali-Regular",
    "NotoSansTamil-Regular",
    "NotoSansTelugu-Regular",
    "NotoSansGujarati-Regular",
    "NotoSansGurmukhi-Regular",
    "NotoSansKannada-Regular",
    "NotoSansMalayalam-Regular",
    "NotoSansArmenian-Regular",
    "NotoSansGeorgian-Regular",
    "DroidSansFallback",
    "DejaVuSans",
)

_FOLDERS: Final = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts"),
    Path("~/.fonts"),
)
_WANTED: Final = ("NotoSans*-Regular.[ot]t[cf]", "NotoSansCJK*.[ot]t[cf]", "Symbola*.ttf", "FreeSans.[ot]tf")
"""Fonts of a machine worth asking: one regular weight of each script, not every face of every family."""
_EMOJI: Final = ("NotoColorEmoji*.ttf",)


class Font:
    """One face, ready to shape and draw with; sizes are said when it is used."""

    def __init__(self, data: hb.Blob, name: str, index: int = 0) -> None:
        self.name = name
        self.face = hb.Face(data, index)
        self.font = hb.Font(self.face)
        self.upem = int(self.face.upem)

    def __repr__(self) -> str:
        return f"Font({self.name})"

    def has(self, character: str) -> bool:
        """Whether it has a glyph for a character."""
        return bool(self.font.get_nominal_glyph(ord(character)))

    @property
    def coloured(self) -> bool:
        """Whether its glyphs bring colours of their own."""
        return bool(self.face.has_color_png or self.face.has_color_paint or self.face.has_color_layers)


@cache
def primary(weight: Weight) -> Font:
    """The font of Latin, Greek and Cyrillic, whose metrics all lines share."""
    return _bundled(_LATIN[weight])


@cache
def emoji() -> Font | None:
    """A font of coloured emoji, which is too large to bundle; None where the machine has none."""
    return next((font for font in _of_machine(_EMOJI) if font.coloured), None)


@lru_cache(maxsize=8192)
def font_for(character: str, weight: Weight) -> Font | None:
    """The first font that can draw a character; None when none can."""
    for font in (primary(weight), *_fallbacks()):
        if font.has(character):
            return font
    return next((font for font in _of_machine(_WANTED) if font.has(character)), None)


@cache
def _fallbacks() -> tuple[Font, ...]:
    return tuple(_bundled(name) for name in _OTHERS)


@cache
def _bundled(name: str) -> Font:
    with as_file(files("egress").joinpath("assets", f"{name}.ttf")) as path:
        return Font(hb.Blob.from_file_path(str(path)), name)


@cache
def _of_machine(patterns: tuple[str, ...]) -> tuple[Font, ...]:
    return tuple(font for path in _found(patterns) for font in _opened(path))


def _found(patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        for folder in _FOLDERS:
            yield from sorted(folder.expanduser().rglob(pattern))


def _opened(path: Path) -> Iterator[Font]:
    """The first face of a font file, and none of one that is broken: it is not worth a job."""
    try:
        font = Font(hb.Blob.from_file_path(str(path)), path.stem)
    except (OSError, RuntimeError, MemoryError):
        return
    if font.face.glyph_count:
        yield font
