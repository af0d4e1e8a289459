from __future__ import annotations

import numpy as np
import pytest

from egress.media.resample import HALF, stretch


@pytest.mark.parametrize("hertz", [100, 997, 5_000, 12_000])
def test_adjoining_stretches_are_seamless_and_clean(hertz: int) -> None:
    source = np.sin(2 * np.pi * hertz * np.arange(48_000) / 48_000).astype(np.float32)[None].repeat(2, 0)
    heard, places, cursor = [], [], 100
    for number in range(25):
        length = 1600 + (8, -8, 1, 5)[number % 4]
        heard.append(stretch(source[:, cursor - HALF : cursor + length + HALF], 1600))
        places.append(cursor + np.arange(1600) * length / 1600)
        cursor += length
    wanted = np.sin(2 * np.pi * hertz * np.concatenate(places) / 48_000)
    error = np.concatenate(heard, axis=1)[0] - wanted
    assert 10 * np.log10(np.mean(wanted**2) / np.mean(error**2)) > 80


def test_an_unchanged_length_is_a_copy() -> None:
    sound = np.random.default_rng(1).standard_normal((2, 960 + 2 * HALF)).astype(np.float32)
    assert np.allclose(stretch(sound, 960), sound[:, HALF:-HALF], atol=1e-6)
