"""Avatars: picture files that strangers made, judged before a decoder sees them, as squares to draw."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from egress.model.errors import RoomError
from egress.model.look_images import kind_and_size

Picture = npt.NDArray[np.uint8]
"""(SIDE, SIDE, 4) RGBA, straight alpha, not to be written to."""

SIDE = 256
"""Pixels of a picture's side."""
MAX_PIXELS = 16_000_000
MAX_SCANS = 32
"""Scans of a progressive JPEG: each of them, however small, costs a pass over all pixels. Cameras write about ten."""

_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""What undoes each EXIF orientation (EXIF 2.32, tag 0x0112)."""


class PortraitError(RoomError):
    """A picture a peer names cannot be had; the message names its host at most, never the rest of its address."""


def picture_of(data: bytes) -> Picture:
    """A file's first picture, upright, cut to a square and scaled; raises PortraitError for what is none.

    What it is and how large is told from its first bytes, before a decoder sees it: some make room on opening.
    """
    kind, size = kind_and_size(data)
    if kind is None:
        raise PortraitError("it is no PNG, JPEG or WebP picture")
    if size is None or not (size.width and size.height):
        raise PortraitError(f"it is a broken {kind} picture")
    if size.width * size.height > MAX_PIXELS:
        raise PortraitError(f"it has {size} pixels; {MAX_PIXELS // 1_000_000} million are shown at most")
    if kind == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
        raise PortraitError(f"it is a JPEG of more than {MAX_SCANS} scans")
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError("another size than declared")
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            image.load()
            turns = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1), ())
            # Pillow would clip 16 bits to 8 instead of scaling them.
            whole = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode == "I;16" else image
            square = ImageOps.fit(whole.convert("RGBA"), (SIDE, SIDE), Image.Resampling.LANCZOS)
    except Exception:
        # Broken files make decoders fail in every way there is.
        raise PortraitError(f"it is a broken {kind} picture") from None
    for turn in turns:
        square = square.transpose(turn)
    picture = np.array(square, np.uint8)
    picture.setflags(write=False)
    return picture
