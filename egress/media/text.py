"""Text of any script in one line or a few: cleaned, cut to fit, ordered, shaped and drawn."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final

import regex
import uharfbuzz as hb

from egress.media import bidi
from egress.media.fonts import Font, Weight, emoji, font_for, primary

ELLIPSIS: Final = "…"
_LONGEST: Final = 300
_MOST_MARKS: Final = 4
"""Marks on one letter; more of them are a tower that reaches into other people's pictures."""

_JOINER, _NON_JOINER, _AS_EMOJI = "\u200d", "\u200c", "\ufe0f"
_JOINERS: Final = regex.compile("([\u200c\u200d])[\u200c\u200d]+")
_CLUSTER: Final = regex.compile(r"\X")
_PICTORIAL: Final = regex.compile(
    r"\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\p{Emoji_Modifier}|\p{RI}|[0-9#*]\ufe0f?\u20e3"
)
_EMOJI_BASE: Final = regex.compile(r"\p{Extended_Pictographic}|\p{RI}|[0-9#*]\ufe0f?\u20e3")
_UNSEEN: Final = regex.compile(r"\p{C}|\p{Default_Ignorable_Code_Point}")
"""By this library's table and not Python's, which is older: to that one, this year's emoji are unassigned."""
_CLOSE: Final = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
"""Scripts between whose letters a line may be broken."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """One glyph of a line; `x` and `y` in pixels from the line's start on its baseline, y upwards."""

    font: Font
    number: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line ready to be drawn: its glyphs from left to right, how far it runs, and its size in pixels to the em."""

    text: str
    size: float
    weight: Weight
    width: float
    glyphs: tuple[Glyph, ...]

    @property
    def cap_height(self) -> float:
        """How high its capitals are, of whatever script it is: what centring goes by."""
        return self.size * _share_of_capitals(self.weight)


def clusters(text: str) -> list[str]:
    """What people take for single letters (UAX 29)."""
    return [str(cluster) for cluster in _CLUSTER.findall(text)]


@lru_cache(maxsize=1024)
def clean(text: str) -> str:
    """One line of what can be seen: without control and formatting characters, emoji, symbols and marks no font has.

    Emoji that are signs of text too (as a heart is) stay as such where there is no font of emoji. Letters without a
    glyph stay, as boxes: they still say that there is a name, and how long it is.
    """
    plain = unicodedata.normalize("NFC", " ".join(text[: 8 * _LONGEST].split()))
    visible = _JOINERS.sub(r"\1", "".join(c for c in plain if _visible(c)))
    kept = "".join(_kept(cluster) for cluster in clusters(visible))
    return _cut(" ".join(kept.split()))


def _cut(text: str) -> str:
    """As many whole letters as the longest text may have characters."""
    if len(text) <= _LONGEST:
        return text
    ends = accumulate(len(cluster) for cluster in clusters(text))
    return text[: max((end for end in ends if end <= _LONGEST), default=0)].rstrip()


def line(text: str, size: float, widest: float | None = None, weight: Weight = "medium") -> Line | None:
    """Clean text in one line at most `widest` pixels long, else ended by an ellipsis; None where nothing fits."""
    whole = _laid(text, size, weight)
    if not text or widest is None or whole.width <= widest:
        return whole if text else None
    letters = clusters(text)
    best, short, long = None, 1, len(letters) - 1
    while short <= long:
        middle = (short + long) // 2
        cut = _laid("".join(letters[:middle]).rstrip() + ELLIPSIS, size, weight)
        if cut.width <= widest:
            best, short = cut, middle + 1
        else:
            long = middle - 1
    return best


def lines(text: str, size: float, widest: float, most: int, weight: Weight = "medium") -> tuple[Line, ...]:
    """Clean text in at most `most` lines of at most `widest` pixels, the last ended by an ellipsis when it is cut."""
    rest = text
    made: list[Line] = []
    while rest and len(made) < most - 1:
        head, tail = _broken(rest, size, widest, weight)
        made.append(_laid(head, size, weight))
        rest = tail
    last = line(rest, size, widest, weight)
    return (*made, last) if last else tuple(made)


def _broken(text: str, size: float, widest: float, weight: Weight) -> tuple[str, str]:
    """As much of a text as fits one line, and what is left of it."""
    if _laid(text, size, weight).width <= widest:
        return text, ""
    letters = clusters(text)
    fits = next((k for k in range(1, len(letters)) if _laid("".join(letters[: k + 1]), size, weight).width > widest), 1)
    at = next((k for k in range(fits, 0, -1) if _may_break(letters, k)), fits)
    return "".join(letters[:at]).rstrip(), "".join(letters[at:]).lstrip()


def _may_break(letters: list[str], at: int) -> bool:
    before, after = letters[at - 1], letters[at]
    if before.isspace() or after.isspace():
        return True
    both = _CLOSE.match(before) and _CLOSE.match(after)
    return bool(both) or before in {"-", "/", "、", "。", "，"}


def _visible(character: str) -> bool:
    return not _UNSEEN.match(character) or _chooses(character) or character in {_JOINER, _NON_JOINER}


def _chooses(character: str) -> bool:
    """Whether it has no shape of its own but chooses one: a variation selector, or a tag of a flag."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0020" <= character <= "\U000e007f"


def _kept(cluster: str) -> str:
    """What is drawn of one cluster."""
    base = cluster[0]
    if _EMOJI_BASE.match(cluster) and (_PICTORIAL.search(cluster) or font_for(base, "medium") is None):
        font = emoji()
        if font is not None and font.has(base):
            return "".join(c for c in cluster if font.has(c) or _chooses(c) or c == _JOINER)
        if _PICTORIAL.match(base) or cluster != base + _AS_EMOJI:
            return ""
    cluster = "".join(c for c in cluster if not _chooses(c))
    if not cluster.strip(_JOINER + _NON_JOINER):
        return ""
    first, font = unicodedata.category(base)[0], font_for(base, "medium")
    if first == "M" or (first == "S" and font is None):
        return ""
    marks = 0
    kept = []
    for character in cluster:
        if unicodedata.category(character) in {"Mn", "Me"}:
            marks += 1
            # A box upon a letter would hide it.
            if marks > _MOST_MARKS or (font is not None and not font.has(character)):
                continue
        kept.append(character)
    return "".join(kept)


@lru_cache(maxsize=512)
def _laid(text: str, size: float, weight: Weight) -> Line:
    """Text in one line, however long."""
    base = bidi.base_level(text)
    runs = list(_runs(text, weight, bidi.levels(text, base)))
    x = 0.0
    glyphs: list[Glyph] = []
    for k in bidi.visual([run.level for run in runs]):
        x = _shape(text, runs[k], size, x, glyphs)
    return Line(text, size, weight, x, tuple(glyphs))


@dataclass(frozen=True, slots=True)
class _Run:
    start: int
    end: int
    font: Font
    script: str
    level: int


def _runs(text: str, weight: Weight, levels: list[int]) -> Iterator[_Run]:
    """Stretches of one font, script and direction, in logical order."""
    begun: _Run | None = None
    at = 0
    for cluster in clusters(text):
        script = next((found for c in cluster if (found := _script(c))), None)
        font = _font_of(cluster, weight, begun.font if begun else None)
        run = _Run(at, at + len(cluster), font, script or (begun.script if begun else "Zyyy"), levels[at])
        at = run.end
        if begun and (begun.font, begun.level) == (run.font, run.level) and _same(begun.script, run.script):
            run = _Run(begun.start, run.end, font, begun.script if begun.script != "Zyyy" else run.script, run.level)
        elif begun:
            yield begun
        begun = run
    if begun:
        yield begun


def _same(one: str, other: str) -> bool:
    return one == other or "Zyyy" in {one, other}


def _font_of(cluster: str, weight: Weight, before: Font | None) -> Font:
    base = cluster[0]
    coloured = emoji()
    if coloured is not None and _EMOJI_BASE.match(cluster) and _PICTORIAL.search(cluster):
        return coloured
    # Blanks and points stay in the font of their neighbours, so that it can space them.
    if before is not None and _script(base) is None and not before.coloured and all(before.has(c) for c in cluster):
        return before
    found = font_for(base, weight)
    if found is not None:
        return found
    return coloured if coloured is not None and coloured.has(base) else primary(weight)


@lru_cache(maxsize=8192)
def _script(character: str) -> str | None:
    """The ISO 15924 tag of a character's script; None for what belongs to many."""
    buffer = hb.Buffer()
    buffer.add_str(character)
    buffer.guess_segment_properties()
    return str(buffer.script) if buffer.script else None


def _shape(text: str, run: _Run, size: float, x: float, into: list[Glyph]) -> float:
    """Append the glyphs of a run that starts at `x`; where it ends."""
    buffer = hb.Buffer()
    codes = [ord(c) for c in text]
    buffer.add_codepoints(codes, item_offset=run.start, item_length=run.end - run.start)
    buffer.script = run.script
    buffer.direction = "rtl" if run.level % 2 else "ltr"
    buffer.language = "und"
    # Digits of one width keep a clock from trembling.
    hb.shape(run.font.font, buffer, {"kern": True, "tnum": True})
    scale = size / run.font.upem
    for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        into.append(Glyph(run.font, info.codepoint, x + place.x_offset * scale, place.y_offset * scale))
        x += place.x_advance * scale
    return x


@lru_cache(maxsize=4)
def _share_of_capitals(weight: Weight) -> float:
    font = primary(weight)
    extents = font.font.get_glyph_extents(font.font.get_nominal_glyph(ord("H")))
    return float(extents.y_bearing / font.upem)
