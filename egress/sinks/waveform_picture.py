"""The picture of a waveform: bars around the middle, on nothing, in colours that show on light and dark pages alike."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from egress.model.media import Size
from egress.sinks.peaks import Rows, columns

_OUTER, _INNER = (124, 144, 178, 150), (74, 108, 168, 255)
"""What peaks and what the mean power is drawn in."""
_BAR, _GAP = 2, 1
_FINER = 3
"""Drawn larger by this and then reduced, for smooth ends."""
_LOUDEST_GAIN = 8.0
"""Quiet recordings are drawn larger, but not by more: silence stays flat."""
_FILL = 0.94


def picture(rows: Rows, size: Size) -> bytes:
    """A PNG of this size; time goes from left to right, the loudest peak fills the height."""
    bars = columns(rows, max(1, (size.width + _GAP) // (_BAR + _GAP)))
    loudest = float(np.abs(bars[:2]).max(initial=0.0))
    gain = _FILL * min(_LOUDEST_GAIN, 1 / loudest) if loudest else 0.0
    width, height = size.width * _FINER, size.height * _FINER
    canvas = Image.new("RGBA", (width, height), (*_OUTER[:3], 0))
    draw = ImageDraw.Draw(canvas)
    for number in range(bars.shape[1]):
        left = number * (_BAR + _GAP) * _FINER
        low, high, rms = (float(value) * gain for value in bars[:, number])
        _bar(draw, left, height, low, high, _OUTER)
        _bar(draw, left, height, max(low, -rms), min(high, rms), _INNER)
    kept = io.BytesIO()
    # What is transparent has the bars' colour too, so that no edge turns dark.
    canvas.resize((size.width, size.height), Image.Resampling.BOX).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def _bar(draw: ImageDraw.ImageDraw, left: int, height: int, low: float, high: float, colour: tuple[int, ...]) -> None:
    middle, thin = height / 2, _BAR * _FINER / 2
    top = min(middle - high * middle, middle - thin)
    bottom = max(middle - low * middle, middle + thin)
    draw.rounded_rectangle((left, top, left + _BAR * _FINER - 1, bottom), radius=thin, fill=colour)
