"""A number burnt into a picture that survives scaling, cropping and coding: frame counter, participant, check.

Twenty cells in two bands of ten; each band is drawn twice, upright and inverted below, so that a cell is read by
comparing it with its own inverse and no brightness threshold is needed. The code stands in the middle of the picture
and is narrow, so that a tile that crops half of the width or of the height away still shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COUNTER_BITS, PERSON_BITS, CHECK_BITS = 10, 6, 4
COLUMNS = 10
LEFT, TOP, WIDTH, HEIGHT = 0.28, 0.27, 0.44, 0.20
_ROWS = 4
_BLACK, _WHITE = 20, 232
_CLEAR = 24.0

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a bar code says; `margin` is the weakest contrast met, in 8-bit levels."""

    counter: int
    person: int
    margin: float


def _check(value: int) -> int:
    return 1 + value % 15


def _cells(counter: int, person: int) -> npt.NDArray[np.bool_]:
    value = (counter << PERSON_BITS) | person
    word = (value << CHECK_BITS) | _check(value)
    total = COUNTER_BITS + PERSON_BITS + CHECK_BITS
    bits = np.array([word >> (total - 1 - i) & 1 for i in range(total)], dtype=bool)
    return bits.reshape(-1, COLUMNS)


def draw(luma: Luma, counter: int, person: int) -> None:
    """Burn the code into a luma plane (height, width)."""
    height, width = luma.shape
    bands = _cells(counter, person)
    xs = np.rint((LEFT + WIDTH * np.arange(COLUMNS + 1) / COLUMNS) * width).astype(int)
    ys = np.rint((TOP + HEIGHT * np.arange(_ROWS + 1) / _ROWS) * height).astype(int)
    across = np.repeat(np.arange(COLUMNS), np.diff(xs))
    for row in range(_ROWS):
        bits = bands[row // 2] ^ bool(row % 2)
        luma[ys[row] : ys[row + 1], xs[0] : xs[-1]] = np.where(bits, _WHITE, _BLACK).astype(np.uint8)[across]


class Window:
    """Reads the code of pictures that always lie at the same place of a luma plane, perhaps partly outside it.

    `x`, `y`, `width`, `height` say where the whole picture lies; `shape` is the plane's (height, width).
    """

    def __init__(self, shape: tuple[int, int], x: float, y: float, width: float, height: float) -> None:
        inner = np.array((0.3, 0.5, 0.7))
        xs = x + width * (LEFT + WIDTH * (np.arange(COLUMNS)[:, None] + inner) / COLUMNS)
        ys = y + height * (TOP + HEIGHT * (np.arange(_ROWS)[:, None] + inner) / _ROWS)
        columns, rows = np.floor(xs).astype(int), np.floor(ys).astype(int)
        self._inside = bool(
            rows.min() >= 0 and rows.max() < shape[0] and columns.min() >= 0 and columns.max() < shape[1]
        )
        self._rows = rows[:, None, :, None]
        self._columns = columns[None, :, None, :]

    def read(self, luma: Luma) -> Reading | None:
        """The code; None when there is none, or it is too blurred to be sure of."""
        if not self._inside:
            return None
        means = luma[self._rows, self._columns].mean(axis=(2, 3))
        contrast = np.concatenate((means[0] - means[1], means[2] - means[3]))
        margin = float(np.abs(contrast).min())
        if margin < _CLEAR:
            return None
        word = 0
        for bit in contrast > 0:
            word = word << 1 | int(bit)
        value, check = word >> CHECK_BITS, word & ((1 << CHECK_BITS) - 1)
        if check != _check(value):
            return None
        return Reading(value >> PERSON_BITS, value & ((1 << PERSON_BITS) - 1), margin)


def read(luma: Luma) -> Reading | None:
    """The code of a picture that fills the plane."""
    return Window((luma.shape[0], luma.shape[1]), 0, 0, luma.shape[1], luma.shape[0]).read(luma)
