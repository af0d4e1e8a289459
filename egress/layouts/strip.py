"""A large stage and a strip of equal tiles beside or below it: what speaker, screen and spotlight have in common."""

from __future__ import annotations

from collections.abc import Sequence

from egress.layouts.base import Box, Tile, View
from egress.layouts.geometry import Shape, fill, fitted, inner, room_for, within
from egress.layouts.seating import seat, tiles
from egress.layouts.subjects import Subject
from egress.model.look import ScreenDoc, SpeakerDoc, SpotlightDoc
from egress.model.media import Size

StripDoc = SpeakerDoc | ScreenDoc | SpotlightDoc

PEOPLE = Shape(3 / 4, 2.4)
"""A person's picture on a stage: cropped no further than upright 3:4, and wide enough for a stage above a strip."""

SCREEN = Shape(1.0, 2.4)
"""The room a screen gets beside a strip: those of computers are never upright, those of telephones still fit."""

_ANY = Shape(1e-3, 1e3)
_MOST_ON_STAGE = 9

_WIDE = 1.2
"""Canvases from this aspect on have the strip at their side unless the document says otherwise."""

_LEGIBLE = 40
"""Pixels of height below which a name does not fit; on large canvases it is a tenth of the shorter side."""


def staged(
    view: View, canvas: Size, doc: StripDoc, stars: Sequence[Subject], others: Sequence[Subject]
) -> tuple[Tile, ...]:
    """Stars on the stage, one alone as large as its shape allows, others in the strip as far as they stay legible.

    Stars beyond what a stage holds go to the strip. The strip takes its share of the canvas, and what the stage
    cannot use on a canvas that is very tall or very wide.
    """
    count = min(len(stars), _MOST_ON_STAGE, doc.most)
    whole = inner(canvas, doc.margin)
    alone = doc.strip == "none" or doc.most == count or len(stars) + len(others) == count
    shape = _ANY if count > 1 else SCREEN if stars[0].screen else PEOPLE
    stage, strip = (whole, None) if alone else _split(whole, doc, shape)
    known = all(within(tile.box, stage) or (strip and within(tile.box, strip)) for tile in view.before)
    before = view.before if known else ()
    shown, _ = seat(view, stars, count, [tile for tile in before if within(tile.box, stage)], counted=False)
    made = tiles(shown, 0, _on_stage(stage, shown, doc), doc)
    if strip is None:
        return made
    keys = {subject.key for subject in shown}
    rest = [subject for subject in (*stars, *others) if subject.key not in keys]
    least = max(_LEGIBLE, min(canvas.width, canvas.height) // 10)
    places = room_for(min(len(rest), doc.most - count), strip, doc.gap, least)
    seated, left_over = seat(view, rest, places, [tile for tile in before if within(tile.box, strip)])
    return made + tiles(seated, left_over, fill(len(seated) + bool(left_over), strip, doc.gap), doc)


def _split(whole: Box, doc: StripDoc, shape: Shape) -> tuple[Box, Box]:
    x, y, width, height = whole.x, whole.y, whole.width, whole.height
    if doc.strip == "side" or (doc.strip == "auto" and width >= height * _WIDE):
        gap = min(doc.gap + 1, width // 8) & ~1
        large = min(width - gap - _even(width * doc.share), _even(height * shape.widest))
        strip = Box(x + large + gap, y, width - large - gap, height)
        return Box(x, y, large, height), strip
    gap = min(doc.gap + 1, height // 8) & ~1
    large = min(height - gap - _even(height * doc.share), _even(width / shape.narrowest))
    return Box(x, y, width, large), Box(x, y + large + gap, width, height - large - gap)


def _on_stage(stage: Box, shown: Sequence[Subject], doc: StripDoc) -> tuple[Box, ...]:
    if len(shown) == 1:
        return (stage if shown[0].screen else fitted(stage, PEOPLE),)
    return fill(len(shown), stage, doc.gap, PEOPLE)


def _even(length: float) -> int:
    return max(2, int(length) & ~1)
