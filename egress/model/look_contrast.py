"""Whether colours can be told apart: contrast as WCAG 2.2 defines it, and the nearest colour that has enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor

from egress.model.look import ThemeDoc
from egress.model.problems import Finding, Problem

TEXT, MARK = 4.5, 3.0
"""Least contrast of text one reads (success criterion 1.4.3), and of large or lesser text and of marks (1.4.11)."""

PAIRS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("text", ("background", "surface"), TEXT),
    ("quiet", ("background", "surface"), MARK),
    ("label_text", ("label",), TEXT),
    ("speaking", ("background", "surface"), MARK),
    ("muted", ("label",), MARK),
)
"""Colours of a theme, what each is drawn on, and the least contrast."""


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two '#rrggbb' colours, 1 to 21."""
    low, high = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (high + 0.05) / (low + 0.05)


def nearest(colour: str, grounds: Sequence[str], least: float) -> str | None:
    """The colour nearest to one, of its hue, with enough contrast on every ground; None when there is none."""
    rgb = _rgb(colour)
    for step in range(256):
        for end in (0, 255):
            mixed = "#" + "".join(f"{round(part + (end - part) * step / 255):02x}" for part in rgb)
            if all(contrast(mixed, ground) >= least for ground in grounds):
                return mixed
    return None


def theme_findings(theme: ThemeDoc) -> Iterator[Finding]:
    """The theme's own colours that cannot be told from what they are drawn on; those of our palettes can."""
    palette = theme.palette
    for name, grounds, least in PAIRS:
        colour = getattr(palette, name)
        values = [getattr(palette, ground) for ground in grounds]
        if all(contrast(colour, value) >= least for value in values):
            continue
        given = [field for field in (name, *grounds) if getattr(theme, field) is not None]
        yield Finding(
            Problem(f"theme.{given[0]}", _message(name, colour, dict(zip(grounds, values, strict=True)), least)),
            (*(f"theme.{field}" for field in (name, *grounds)), "theme.base"),
        )


def accent_finding(role: str, accent: str, theme: ThemeDoc) -> Iterator[Finding]:
    """A role's accent that cannot be told from the tiles its initials are drawn on."""
    surface = theme.palette.surface
    if contrast(accent, surface) < MARK:
        message = _message("accent", accent, {"theme.surface": surface}, MARK)
        yield Finding(Problem(f"roles.{role}.accent", message), ("theme.surface", "theme.base"))


def _message(name: str, colour: str, grounds: dict[str, str], least: float) -> str:
    low = [
        f"{contrast_text(colour, value)} on {ground} {value}"
        for ground, value in grounds.items()
        if contrast(colour, value) < least
    ]
    better = nearest(colour, tuple(grounds.values()), least)
    fix = f"use {name}: '{better}'" if better else f"no {name} has it on both; bring {' and '.join(grounds)} closer"
    return f"{name} {colour} has a contrast of {' and '.join(low)}, and needs {least:g}:1; {fix}"


def contrast_text(one: str, other: str) -> str:
    """A contrast as people write it, never rounded up: 4.499 is not 4.5:1."""
    return f"{floor(contrast(one, other) * 100) / 100:g}:1"


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(rgb: tuple[int, int, int]) -> float:
    """Relative luminance of sRGB, 0 to 1 (WCAG 2.2, with the threshold of IEC 61966-2-1)."""
    linear = [part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
