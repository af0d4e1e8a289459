"""The one form all sound has on its way from the decoders to the encoder."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Sound of shape (channels, samples) at 48 kHz, full scale 1.0."""


def on_both_sides(sound: Samples) -> Samples:
    """Sound of one channel as (2, n), or two as they are; one channel is not copied, so it must not be written to.

    Whoever adds up many such blocks can tell: the second side lies no bytes after the first (`strides`).
    """
    if len(sound) == 2:
        return sound
    both: Samples = np.ndarray((2, sound.shape[1]), np.float32, sound, 0, (0, sound.itemsize))
    both.flags.writeable = False
    return both
