"""Pictures for tests of the canvas."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np

from egress.media.planes import planes


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture as a track shows it."""

    frame: av.VideoFrame


def noise(width: int, height: int, seed: int = 0) -> Shot:
    """Random samples: whatever goes astray shows."""
    random = np.random.default_rng(seed)
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in planes(frame):
        plane[...] = random.integers(16, 235, plane.shape)
    return Shot(frame)
