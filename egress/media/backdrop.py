"""What is behind everything: a colour, a picture, or the card that takes the place of all tiles."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from egress.layouts.base import Box
from egress.media.canvas import Canvas
from egress.media.planes import Colour, Plane, colour
from egress.media.scene import Style
from egress.model.errors import EgressError

if TYPE_CHECKING:
    from egress.media.art import Art

log = logging.getLogger(__name__)


class Backdrop:
    """Pixels that tiles and overlays are laid upon, restored wherever those go away.

    A picture that cannot be read any more is left out with a warning: a programme does not end for its background.
    """

    def __init__(self, canvas: Canvas, style: Style) -> None:
        self._canvas = canvas
        self._colour: Colour = colour(style.theme.palette.background)
        self._pixels = _pixels(canvas, style)

    def lay(self, box: Box) -> None:
        """Show it, and nothing else, in this box of the canvas."""
        region = self._canvas.region(box)
        if self._pixels is None:
            region.fill(self._colour)
            return
        luma, *chroma = self._pixels
        half = np.s_[box.y // 2 : (box.y + box.height) // 2, box.x // 2 : (box.x + box.width) // 2]
        np.copyto(region.luma, luma[box.y : box.y + box.height, box.x : box.x + box.width])
        for view, plane in zip(region.chroma, chroma, strict=True):
            np.copyto(view, plane[half])


def _pixels(canvas: Canvas, style: Style) -> tuple[Plane, ...] | None:
    palette, image = style.theme.palette, style.theme.image
    if style.card is None and image is None:
        return None
    # What draws letters takes long to load, and many programmes show none.
    from egress.media.cards import background, card

    art = None
    if (shown := style.card) is not None:
        art = _read(lambda: card(shown, canvas.size, palette))
    elif image is not None:
        art = _read(lambda: background(image, canvas.size, palette))
    # Opaque pictures keep nothing of what is beneath, so their premultiplied layers hold the pixels themselves.
    return None if art is None else tuple((layer >> 8).astype(np.uint8) for layer, _ in art.overlay.layers)


def _read(make: Callable[[], Art]) -> Art | None:
    try:
        return make()
    except (OSError, EgressError) as error:
        log.warning("the background is left out: %s", error)
        return None
