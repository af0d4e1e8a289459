"""Text of any script: cleaned, cut between letters, ordered and shaped."""

from __future__ import annotations

import pytest

from egress.media import bidi
from egress.media.text import clean, clusters, line, lines


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
