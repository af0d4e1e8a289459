"""Boxes of one's own, in fractions of the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egress.layouts.base import Box, Tile, View
from egress.layouts.geometry import inner, overlap, part
from egress.layouts.grid import grid
from egress.layouts.matching import named
from egress.layouts.seating import seat
from egress.layouts.subjects import Subject, screens, subjects
from egress.model.look import BoxDoc, CustomDoc
from egress.model.media import Size


def custom(view: View, canvas: Size, doc: CustomDoc) -> tuple[Tile, ...]:
    """Screens take the boxes for screens, then boxes by role and name are filled in order, then the others.

    A box for a role or a name stays free while nobody fits it; one for a screen, while none is shared, is for anybody.
    With more peers than boxes, those who spoke last are seen. A grid of everyone when no box found anybody.
    """
    whole = inner(canvas, doc.margin)
    asked = doc.boxes[: doc.most]
    boxes = [part(whole, box.x, box.y, box.width, box.height) for box in asked]
    waiting = list(subjects(view))
    taken: dict[int, Subject] = {}
    shared = list(screens(view))
    for place, box in enumerate(asked):
        if box.screen and shared:
            taken[place] = shared.pop(0)
    waiting = [s for s in waiting if not s.screen or (doc.screens == "tile" and s in shared)]
    for place, box in enumerate(asked):
        if not box.screen and _particular(box):
            found = next((s for s in waiting if _meant(box, s)), None)
            if found is not None:
                taken[place] = found
                waiting.remove(found)
    free = [n for n, box in enumerate(asked) if n not in taken and (box.screen or not _particular(box))]
    if free:
        seated, _ = seat(view, waiting, len(free), _before(view, [boxes[n] for n in free]), counted=False)
        taken.update(zip(free, seated, strict=False))
    if not taken:
        return grid(view, canvas, doc)
    made = [taken[n].tile(boxes[n], doc, fit=asked[n].fit) for n in sorted(taken)]
    above = [
        replace(tile, floats=any(overlap(tile.box, other.box) for other in made[:n])) for n, tile in enumerate(made)
    ]
    return tuple(sorted(above, key=lambda tile: tile.floats))


def _particular(box: BoxDoc) -> bool:
    return box.role is not None or box.name is not None


def _meant(box: BoxDoc, subject: Subject) -> bool:
    role = box.role is None or subject.peer.role == box.role
    return role and not subject.screen and (box.name is None or named(subject.peer, (box.name,)))


def _before(view: View, boxes: Sequence[Box]) -> tuple[Tile, ...]:
    """The tiles that were in these boxes, in their order; in a free one, a tile of nobody."""
    had = {tile.box: tile for tile in view.before}
    return tuple(had.get(box) or Tile("", None, None, box, "cover", "", "", True) for box in boxes)
