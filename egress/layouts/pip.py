"""One fills the canvas, another is inset in a corner."""

from __future__ import annotations

from egress.layouts.base import Box, Tile, View
from egress.layouts.geometry import Shape, fitted, inner
from egress.layouts.subjects import featured, screens, subjects
from egress.model.look import PipDoc
from egress.model.media import Size

_FULL = Shape(9 / 16, 2.4)


def pip(view: View, canvas: Size, doc: PipDoc) -> tuple[Tile, ...]:
    """A shared screen, else who speaks; inset who speaks then, or who spoke before. Nobody else is seen."""
    shared = screens(view) if doc.screens == "stage" else ()
    everyone = subjects(view)
    before = [tile.peer for tile in view.before]
    large = shared[0] if shared else featured(view, everyone, before[0] if before else None)
    if large is None:
        return ()
    whole = inner(canvas, doc.margin)
    made = (large.tile(whole if large.screen else fitted(whole, _FULL), doc),)
    others = [s for s in everyone if s.key != large.key and not (shared and s.screen)]
    favoured = large.peer.id if large.screen else before[1] if len(before) > 1 else None
    small = featured(view, others, favoured) if doc.most > 1 else None
    return made if small is None else (*made, small.tile(_inset(whole, doc), doc, floats=True))


def _inset(whole: Box, doc: PipDoc) -> Box:
    """A box in the corner: 16:9 on wide canvases, 3:4 on tall ones, square on square ones, at most half as high."""
    shorter = min(whole.width, whole.height)
    aspect = 16 / 9 if whole.width > whole.height else 3 / 4 if whole.width < whole.height else 1.0
    width = min(whole.width * doc.share, whole.height / 2 * aspect)
    size = Size(max(2, int(width) & ~1), max(2, int(width / aspect) & ~1))
    space = min(max(doc.gap, shorter // 36), shorter // 8) & ~1
    right, bottom = whole.width - size.width - space, whole.height - size.height - space
    x = space if doc.corner.endswith("left") else right
    y = space if doc.corner.startswith("top") else bottom
    return Box(whole.x + x, whole.y + y, size.width, size.height)
