"""The one form all sound has on its way from the decoders to the encoder."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Sound of shape (channels, samples) at 48 kHz, full scale 1.0."""
