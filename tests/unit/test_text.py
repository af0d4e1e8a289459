"""Text of any script: cleaned, cut between letters, ordered and shaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import as_file, files

import pytest
import uharfbuzz as hb

from egress.media import bidi, ink, text
from egress.media.fonts import Font, font_for
from egress.media.text import Line, clean, clusters, line, lines

FAMILY, FLAG, HAND, HEART = "👨\u200d👩\u200d👧", "🇩🇪", "👍🏽", "❤\ufe0f"


class Emoji(Font):
    """A stand-in for a font of coloured emoji: it says that it has some, and draws boxes for most."""

    def __init__(self) -> None:
        with as_file(files("egress").joinpath("assets", "DejaVuSans.ttf")) as path:
            super().__init__(hb.Blob.from_file_path(str(path)), "emoji")

    def has(self, character: str) -> bool:
        return character in "👨👩👧🇩🇪👍🏽❤😀1\u20e3\U0001fa77"

    @property
    def coloured(self) -> bool:
        return True


Equip = Callable[[Font | None], None]


@pytest.fixture
def equip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Equip]:
    """Say which font of emoji the machine has."""

    def forget() -> None:
        clean.cache_clear()
        text._laid.cache_clear()

    def chosen(font: Font | None) -> None:
        monkeypatch.setattr(text, "emoji", lambda: font)
        forget()

    yield chosen
    forget()


def laid(words: str, widest: float | None = None) -> Line:
    made = line(words, 20, widest)
    assert made is not None
    return made


def fonts_of(made: Line) -> list[str]:
    """Names of a line's fonts from left to right, each once a run."""
    names = [glyph.font.name for glyph in made.glyphs]
    return [name for k, name in enumerate(names) if k == 0 or names[k - 1] != name]


def test_characters_that_reorder_or_hide_are_taken_out() -> None:
    assert clean("\u202eevil\u202c\u2066\u200b\ufeff") == "evil"
    assert clean("line\none\x00") == "line one"


def test_towers_of_marks_are_cut_down() -> None:
    assert len(clean("a" + "\u0316" * 50)) <= 5


def test_long_text_ends_in_an_ellipsis_between_letters() -> None:
    cut = line(clean("न्दी" * 40), 20, 200)
    assert cut is not None and cut.width <= 200
    assert set(clusters(cut.text)) == {"न्दी", "…"}


def test_nothing_is_drawn_where_nothing_fits() -> None:
    assert line("Ada", 20, 5) is None
    assert line("", 20, 100) is None


def test_text_is_broken_between_words() -> None:
    made = lines("one two three four five six", 20, 110, 3)
    assert 1 < len(made) <= 3
    assert all(row.width <= 110 for row in made)
    assert made[0].text == "one two"


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("ab אב 12", 0, [0, 0, 0, 1, 1, 1, 2, 2]),
        ("אב ab", 1, [1, 1, 1, 2, 2]),
        ("אב (ab)", 1, [1, 1, 1, 1, 2, 2, 1]),
        ("abc", 0, [0, 0, 0]),
    ],
)
def test_levels_are_those_of_the_standard(text: str, base: int, expected: list[int]) -> None:
    assert bidi.base_level(text) == base
    assert bidi.levels(text, base) == expected


def test_arabic_letters_join() -> None:
    joined, apart = line("بب", 20), line("ب\u200cب", 20)
    assert joined is not None and apart is not None
    assert {g.number for g in joined.glyphs} != {g.number for g in apart.glyphs}


def written(pattern: str) -> str:
    """Capitals A to M as Hebrew and N to Z as Arabic letters, 5 to 9 as Arabic digits, ^ as a Hebrew point."""
    hebrew = zip("ABCDEFGHIJKLM", "אבגדהוזחטיכלמ", strict=True)
    arabic = zip("NOPQRSTUVWXYZ", "بتثجحخدذرزسشص", strict=True)
    digits = zip("56789", "٥٦٧٨٩", strict=True)
    shown = {**dict(hebrew), **dict(arabic), **dict(digits), "^": "\u05b0"}
    return "".join(shown.get(character, character) for character in pattern)


@pytest.mark.parametrize(
    ("pattern", "expected", "rule"),
    [
        ("ab AB cd", "00011000", "N2: a blank between directions runs as the line"),
        ("AB ab CD", "11122111", "P2: the first letter decides; I2: Latin within Hebrew"),
        ("a AB CD", "0011111", "N1: a blank between Hebrew words runs with them"),
        ("a AB 12", "0011122", "N1: a number counts as right to left beside neutrals; I1"),
        ("12 AB", "22111", "P2: digits do not decide the line"),
        ("ab 12 AB", "00000011", "W7: a number after Latin is Latin"),
        ("NO a 1", "111222", "W2 goes by the last letter, W7 too"),
        ("ab 5", "0002", "I1: Arabic digits stay a number after Latin"),
        ("NO 12", "11122", "W2: European digits after Arabic letters"),
        ("NO 1,2", "111222", "W2 before W4: a comma within an Arabic number"),
        ("NO 1+2", "111212", "W4: a sign joins European digits only"),
        ("AB 1+2", "111222", "W4: a sign within a European number"),
        ("AB 5,6", "111222", "W4: a comma within Arabic digits"),
        ("AB 1,5", "111212", "W4: a comma between two kinds of digits"),
        ("AB 1, 2", "1112112", "W4: one separator only"),
        ("AB 12:30", "11122222", "W4: a time of day is one number"),
        ("+12 AB", "122111", "W6: a sign before a number is not of it"),
        ("AB $10", "111222", "W5: a currency before"),
        ("AB 10%", "111222", "W5: a percent sign after"),
        ("NO 10%", "111221", "W5 is for European digits; these have become Arabic by W2"),
        ("AB!", "111", "N1: at the end, beside the direction of the line"),
        ("a AB!", "00110", "N2: at the end of a line of the other direction"),
        ("AB ab.", "111221", "W6, N2: a full stop after Latin in a Hebrew line"),
        ("a (AB) b", "00011000", "N0c2: brackets with the other direction within and the line's before"),
        ("a AB (CD) b", "00111111100", "N0c1: brackets with the other direction within and before"),
        ("a AB (b) CD", "00110000011", "N0b: brackets with the line's direction within"),
        ("AB (ab) CD", "1111221111", "N0c2 in a Hebrew line"),
        ("AB ab (cd) CD", "1112222222111", "N0c1 in a Hebrew line"),
        ("a (AB", "00011", "BD16: a bracket without its other"),
        ("a [1] AB", "00000011", "N0: a number that has become Latin by W7"),
        ("AB [1] a", "11112112", "N0: a number counts as right to left"),
        ("AB a (1) CD", "11122222111", "W7 before N0c1"),
        ("a {AB [CD] b}", "0001111111000", "BD16: pairs within pairs"),
        ("a AB 〖CD〗 b", "00111111100", "BidiBrackets.txt has more than ASCII's"),
        ("a AB ｢CD｣ b", "00111111100", "BidiBrackets.txt has halfwidth ones"),
        ("a A^B", "00111", "W1: a mark goes with its letter"),
        ("a AB  ", "001100", "L1: blanks at the end"),
        ("AB a ", "11121", "L1: blanks at the end of a Hebrew line"),
        ("AB \U0001fa77 CD", "1111111", "an emoji newer than Python's tables has no direction"),
    ],
)
def test_levels_of_mixed_directions(pattern: str, expected: str, rule: str) -> None:
    words = written(pattern)
    assert "".join(map(str, bidi.levels(words, bidi.base_level(words)))) == expected, rule


@pytest.mark.parametrize(
    ("of_runs", "expected"),
    [
        ([0, 1, 0], [0, 1, 2]),
        ([1, 2, 1], [2, 1, 0]),
        ([0, 1, 2, 1, 0], [0, 3, 2, 1, 4]),
        ([1, 2, 2, 1], [3, 1, 2, 0]),
        ([], []),
    ],
)
def test_runs_are_reversed_from_the_innermost_out(of_runs: list[int], expected: list[int]) -> None:
    assert bidi.visual(of_runs) == expected


def test_brackets_are_mirrored_where_they_run_right_to_left() -> None:
    glyphs = laid("א(ב)").glyphs
    assert [glyph.number for glyph in glyphs] == [
        glyph.font.font.get_nominal_glyph(ord(c)) for glyph, c in zip(glyphs, "(ב)א", strict=True)
    ]


def test_a_line_of_many_scripts_is_drawn_with_the_font_of_each() -> None:
    made = laid("Ada Вера שרה ไทย 王 ☀")
    assert fonts_of(made) == [
        "NotoSans-Medium",
        "NotoSansHebrew-Regular",
        "NotoSansThai-Regular",
        "DroidSansFallback",
        "DejaVuSans",
    ]
    assert all(glyph.number for glyph in made.glyphs)
    assert [glyph.x for glyph in made.glyphs] == sorted(glyph.x for glyph in made.glyphs)


def test_fonts_of_a_right_to_left_line_stand_from_right_to_left() -> None:
    assert fonts_of(laid("שרה Ada سارة")) == ["NotoSansArabic-Regular", "NotoSans-Medium", "NotoSansHebrew-Regular"]


@pytest.fixture
def bundled_only(monkeypatch: pytest.MonkeyPatch, equip: Equip) -> Iterator[None]:
    """A machine that has no fonts but the package's."""
    monkeypatch.setattr("egress.media.fonts._of_machine", lambda patterns: ())
    font_for.cache_clear()
    equip(None)
    yield
    font_for.cache_clear()


@pytest.mark.usefixtures("bundled_only")
def test_letters_no_font_has_are_boxes_and_symbols_are_left_out() -> None:
    boxes = clean("a \U00012000\U00012001")
    assert boxes == "a \U00012000\U00012001"
    assert [glyph.number for glyph in laid(boxes).glyphs][-2:] == [0, 0]
    assert clean("a \U0001d800 b") == "a b"


@pytest.mark.usefixtures("bundled_only")
@pytest.mark.parametrize("marked", ["a\u20d7", "x\u20dd", "a\u05b0", "א\u0301"])
def test_marks_the_letters_font_lacks_are_left_out_and_not_drawn_as_boxes(marked: str) -> None:
    assert clean(marked) == marked[0]
    assert all(glyph.number for glyph in laid(clean(marked)).glyphs)


def test_marks_that_fonts_have_stay() -> None:
    for word in ("נִקּוּד", "हिन्दी", "ที่", "q\u0301"):
        assert clean(word) == word
        assert all(glyph.number for glyph in laid(word).glyphs)


@pytest.mark.usefixtures("bundled_only")
def test_emoji_without_a_font_leave_nothing_behind() -> None:
    assert clean(f"Ada {FAMILY} {FLAG}{HAND} 1\ufe0f\u20e3 Ng") == "Ada Ng"
    assert clean(FAMILY + FLAG) == ""


@pytest.mark.usefixtures("bundled_only")
def test_emoji_that_are_signs_of_text_too_stay_without_a_font() -> None:
    assert clean(f"Ada {HEART} ©\ufe0f") == "Ada ❤ ©"
    assert all(glyph.number for glyph in laid("Ada ❤ ©").glyphs)


@pytest.mark.parametrize("one", [FAMILY, FLAG, HAND, HEART, "1\ufe0f\u20e3", "\U0001fa77"])
def test_an_emoji_is_one_letter_in_its_font(equip: Equip, one: str) -> None:
    equip(Emoji())
    assert clean(f"Ada {one}") == f"Ada {one}"
    assert clusters(one) == [one]
    assert fonts_of(laid(f"Ada {one}")) == ["NotoSans-Medium", "emoji"]


@pytest.mark.parametrize("one", [FAMILY, FLAG, HAND, HEART])
def test_an_ellipsis_never_cuts_an_emoji(equip: Equip, one: str) -> None:
    equip(Emoji())
    words = clean(one * 8)
    whole = laid(words).width
    for part in range(4, 10):
        cut = laid(words, whole * part / 10)
        assert cut.width <= whole * part / 10
        assert set(clusters(cut.text)) == {one, "…"}


def test_the_longest_text_ends_between_letters(equip: Equip) -> None:
    equip(Emoji())
    for one in (FAMILY, "न्दी"):
        cut = clean("a" + one * 100)
        assert 290 < len(cut) <= 300
        assert set(clusters(cut)) == {"a", one}


def test_marks_on_an_emoji_are_left_out_unless_its_font_has_them(equip: Equip) -> None:
    equip(Emoji())
    assert clean("😀" + "\u0301" * 50 + "a") == "😀a"


def test_outlines_leave_coloured_glyphs_to_their_pictures(equip: Equip) -> None:
    equip(Emoji())
    assert ink.coverage(laid("😀"), 40, 40, 2, 30).getbbox() is None
    equip(None)
    assert ink.coverage(laid("😀"), 40, 40, 2, 30).getbbox() is not None


@pytest.mark.parametrize("unseen", [*"\u202d\u202e\u2067\u200f\u061c\u200b\u2060\ufeff\u00ad\u034f\u3164\u115f\u180e"])
def test_what_has_no_shape_neither_reorders_nor_hides_its_neighbours(unseen: str) -> None:
    assert clean(f"{unseen}Ada{unseen * 3} 12{unseen} אב") == "Ada 12 אב"
    assert clean(unseen * 5) == ""


def test_joiners_take_no_room_and_crowd_nobody_out() -> None:
    assert clean("\u200d\u200c") == ""
    assert clean("a" + "\u200d\u200c" * 200 + "bc") == "a\u200dbc"
    assert laid("a\u200db").width == laid("ab").width
    assert len([g for g in laid("ש\u200dר").glyphs if g.number]) >= 2


def test_an_override_does_not_turn_a_file_name_round() -> None:
    tricked, plain = laid(clean("photo\u202egpj.exe")), laid("photogpj.exe")
    assert tricked == plain
