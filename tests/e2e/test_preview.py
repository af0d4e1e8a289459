"""Every pipeline that ships can be previewed, and a clip is what a player expects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from egress import pipelines
from tests.house.tree import ROOT

pytestmark = pytest.mark.beside

SCRIPT = ROOT / "samples" / "preview" / "meeting.yaml"


def preview(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "egress.cli", "preview", *words], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("name", [name for name in pipelines.names() if pipelines.load(name).video is not None])
def test_a_shipped_pipeline_can_be_previewed(tmp_path, name):
    out = tmp_path / "preview.png"
    preview(name, "--out", str(out))
    video = pipelines.load(name).video
    with Image.open(out) as image:
        assert image.size == (video.size.width, video.size.height)
        pixels = np.asarray(image.convert("L"), np.float64)
    quarters = [pixels[: len(pixels) // 2], pixels[len(pixels) // 2 :]]
    assert all(part.std() > 10 for part in quarters), "people are seen above and below"


def test_the_sample_makes_a_clip_that_plays(tmp_path):
    out = tmp_path / "meeting.mp4"
    preview("record-grid", "--script", str(SCRIPT), "--size", "640x360", "--out", str(out))
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a player can begin before it has all of it"
    with av.open(str(out)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, audio.codec.name) == ("h264", "aac")
        assert (video.width, video.height, video.average_rate) == (640, 360, 30)
        assert (int(video.codec_context.colorspace), int(video.codec_context.color_range)) == (1, 1)
        assert [path.name for path in tmp_path.iterdir()] == ["meeting.mp4"]
        pictures, loudest, samples = [], 0.0, 0
        for frame in container.decode(video, audio):
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame.pts * frame.time_base)
            else:
                loudest = max(loudest, float(np.abs(frame.to_ndarray()).max()))
                samples += frame.samples
    assert pictures == [pytest.approx(n / 30, abs=1e-4) for n in range(600)]
    assert loudest < 1e-3
    assert abs(samples - 20 * 48_000) <= 1024


def test_a_moment_of_the_sample_shows_the_screen_that_is_shared_then(tmp_path):
    during, after = Path(tmp_path / "during.png"), Path(tmp_path / "after.png")
    preview("record-grid", "--script", str(SCRIPT), "--at", "8.5", "--out", str(during))
    preview("record-grid", "--script", str(SCRIPT), "--at", "13", "--out", str(after))

    def paper(path: Path) -> float:
        with Image.open(path) as image:
            return float((np.asarray(image.convert("L")) > 240).mean())

    assert paper(during) > 0.25
    assert paper(after) < 0.05
