"""Who the synthetic participants are: a name, a role, a colour to flash in and a tone to beep in, all distinct."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

MOST = 64

_NAMES = """
    Ada Grace Linus Margaret Alan Barbara Dennis Radia Ken Frances Donald Katherine Tim Hedy Edsger Joan Guido Annie
    Claude Mary John Sophie Vint Karen Niklaus Lynn Brian Shafi Leslie Adele Tony Jean Bjarne Evelyn James Betty
    Whitfield Marlyn Martin Kathleen Ivan Ruth Douglas Anita Robin Susan Butler Elena Rasmus Yukihiro Charles Dorothy
    Konrad Ida Gordon Thelma Seymour Erna Robert Cynthia Michael Jeannette Andrew Carol
"""
_HUES = (0, 120, 240, 60, 300, 180, 30, 270, 150, 210, 330, 90, 15, 285, 165, 225)
_BETWEEN = (0.0, 7.5, 3.75, 11.25)
_TONES = (523, 659, 784, 880)
_FIRST_FREE_TONE, _TONE_STEP = 1010, 110


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic participant; `colour` is 8-bit RGB, `tone` is in Hz, `index` is what the bar code says."""

    index: int
    id: str
    name: str
    role: str
    colour: tuple[int, int, int]
    tone: int


def person(index: int) -> Person:
    """The participant number `index` (0 is the host); raises ValueError beyond MOST."""
    if not 0 <= index < MOST:
        raise ValueError(f"participant {index} does not exist: there are {MOST}, numbered from 0")
    name = _NAMES.split()[index]
    turn, hue = divmod(index, len(_HUES))
    red, green, blue = colorsys.hls_to_rgb(((_HUES[hue] + _BETWEEN[turn]) % 360) / 360, 0.5, 1.0)
    tone = _TONES[index] if index < len(_TONES) else _FIRST_FREE_TONE + _TONE_STEP * (index - len(_TONES))
    colour = (round(255 * red), round(255 * green), round(255 * blue))
    return Person(index, name.lower(), name, "host" if index == 0 else "guest", colour, tone)


def people(count: int) -> tuple[Person, ...]:
    """The first `count` participants."""
    return tuple(person(index) for index in range(count))


def chroma(colour: tuple[int, int, int], *, kr: float, kb: float) -> tuple[int, int, int]:
    """8-bit limited-range Y, Cb, Cr of an RGB colour by the matrix with these coefficients (BT.601: 0.299, 0.114)."""
    red, green, blue = (value / 255 for value in colour)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return (
        round(16 + 219 * luma),
        round(128 + 112 * (blue - luma) / (1 - kb)),
        round(128 + 112 * (red - luma) / (1 - kr)),
    )
