"""Pictures in files: looked at before they are decoded, upright, and scaled well."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from egress.model.errors import RequestError
from egress.model.look_images import MAX_PIXELS, image_problem
from egress.model.media import Size

_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_FILTER: Final = Image.Resampling.LANCZOS
_GAP: Final = 3.0
"""Much smaller pictures are first shrunk to this many times their size: faster, and nobody sees it."""


def scaled(path: str, width: int, most: Size) -> Image.Image | None:
    """The RGBA picture in a file at a width in pixels, and smaller where it exceeds `most`; None where nothing is left.

    Its shape and its transparency are kept. Raises RequestError when it cannot be read.
    """
    image = _read(path, most)
    share = min(width / image.width, most.width / image.width, most.height / image.height)
    if share <= 0:
        return None
    # A ruled line may be thinner than a pixel.
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, _FILTER, reducing_gap=_GAP)


def covering(path: str, canvas: Size, ground: tuple[int, int, int]) -> Image.Image:
    """The picture in a file, cropped to cover the canvas, as opaque RGBA; `ground` shows where it is transparent.

    Raises RequestError when it cannot be read.
    """
    image = ImageOps.fit(_read(path, canvas), (canvas.width, canvas.height), _FILTER)
    whole = Image.new("RGBA", image.size, (*ground, 255))
    whole.alpha_composite(image)
    return whole


def _read(path: str, wanted: Size) -> Image.Image:
    """The first picture in a file, at least as large as wanted if it is that large."""
    if wrong := image_problem(Path(path)):
        raise RequestError(f"{path!r} {wrong}")
    try:
        with Image.open(path, formats=_FORMATS) as file:
            if file.width * file.height > MAX_PIXELS:
                raise RequestError(f"{path!r} has more than {MAX_PIXELS // 1_000_000} million pixels: save it smaller")
            # A JPEG can be decoded at a half, a quarter or an eighth of its size, in that much less time.
            longest = max(wanted.width, wanted.height)
            file.draft(None, (longest, longest))
            return ImageOps.exif_transpose(file).convert("RGBA")
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        OverflowError,
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        # These are what Pillow raises for broken files, each of its readers in its own way.
        raise RequestError(f"{path!r} is a broken picture ({error}); save it again") from error
