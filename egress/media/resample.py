"""A stretch of sound made very slightly longer or shorter, by band-limited interpolation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from egress.media.samples import Samples

HALF = 16
"""How many samples beyond either end of the stretch the interpolation looks at."""
_BETA = 9.0


@lru_cache(maxsize=64)
def _weights(length: int, wanted: int) -> tuple[npt.NDArray[np.intp], Samples]:
    """For each wanted sample: where its window begins, and the windowed sinc at its exact fraction."""
    position = np.arange(wanted) * (length / wanted)
    whole = np.floor(position).astype(np.intp)
    reach = np.arange(1 - HALF, HALF + 1)[None, :] - (position - whole)[:, None]
    window = np.i0(_BETA * np.sqrt(np.clip(1.0 - (reach / HALF) ** 2, 0.0, 1.0))) / np.i0(_BETA)
    weights = np.sinc(reach) * window
    weights /= weights.sum(axis=1, keepdims=True)
    return whole + 1, weights.astype(np.float32)


def stretch(sound: Samples, wanted: int) -> Samples:
    """`sound` (channels, HALF + n + HALF) as its middle n samples spread evenly over `wanted`.

    Stretches that adjoin in the source adjoin in the result without a seam.
    """
    starts, weights = _weights(sound.shape[1] - 2 * HALF, wanted)
    windows = np.lib.stride_tricks.sliding_window_view(sound, 2 * HALF, axis=1)[:, starts]
    mixed: Samples = np.einsum("cnk,nk->cn", windows, weights, dtype=np.float32)
    return mixed
