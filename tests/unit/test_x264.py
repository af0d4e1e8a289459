"""The cheaper encoder: whatever the document says, its stream has the headers of the one it stands in for."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from egress.media.x264 import X264
from egress.model.media import SECOND, Size
from egress.model.pipeline import Video

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_cheaper_encoder_writes_the_same_headers(preset: str) -> None:
    for tune, profile in itertools.product(("zerolatency", "none"), ("baseline", "main", "high")):
        doc = Video(size=Size(320, 180), bitrate=300_000).model_copy(
            update={"preset": preset, "tune": tune, "profile": profile}
        )
        headers = X264(doc).headers
        assert headers.startswith(b"\0\0\0\1\x67") and X264(doc, hasty=True).headers == headers, (tune, profile)


@pytest.mark.parametrize(
    ("size", "fps", "keyframe"),
    [(Size(1920, 1080), Fraction(30000, 1001), 4 * SECOND), (Size(426, 240), Fraction(60), SECOND)],
)
def test_it_does_so_at_other_sizes_and_rates(size: Size, fps: Fraction, keyframe: int) -> None:
    for tune in ("zerolatency", "none"):
        doc = Video().model_copy(update={"size": size, "fps": fps, "keyframe": keyframe, "tune": tune})
        assert X264(doc, hasty=True).headers == X264(doc).headers
