"""Recorded files for tests of composing: pictures whose brightness says their number, sound that beeps on seconds."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from egress.model.media import Size
from tests.unit.feeding import picture

RATE = 48_000
SMALL = Size(64, 48)
DARK, STEP, LEVELS = 20, 2, 100
"""Luma of picture 0, and how much brighter each next one is; they begin anew after LEVELS."""

Sound = npt.NDArray[np.float32]


def luma(number: int) -> int:
    """How bright a picture is."""
    return DARK + STEP * (number % LEVELS)


def number(frame: av.VideoFrame) -> int:
    """Which picture it is, as far as brightness says."""
    whole = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)[:, : frame.width]
    return round((float(whole.mean()) - DARK) / STEP)


def beeping(seconds: float, hertz: float = 1000.0, rate: int = RATE) -> Sound:
    """100 ms of a tone at every whole second, and silence."""
    at = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * hertz * at) * (at % 1 < 0.1)).astype(np.float32)


def onsets(sound: Sound, rate: int = RATE) -> list[float]:
    """When the beeps of a sound (n) begin, in seconds."""
    loud = np.flatnonzero(np.abs(sound) > 0.1) / rate
    return [float(at) for index, at in enumerate(loud) if index == 0 or at - loud[index - 1] > 0.5]


def film(
    path: Path,
    seconds: float = 2.0,
    *,
    fps: int = 30,
    size: Size = SMALL,
    keys: int = 1000,
    codec: str = "libx264",
    pictures: bool = True,
    sound: Sound | None = None,
    sound_codec: str = "aac",
    rate: int = RATE,
    layout: str = "stereo",
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a file with pictures, each `keys`-th a keyframe, and with sound if there is any."""
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        video: Any = container.add_stream(codec, rate=fps) if pictures else None
        if video is not None:
            video.width, video.height, video.pix_fmt = size.width, size.height, "yuv420p"
            video.codec_context.gop_size = keys
            quick = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": f"keyint={keys}:scenecut=0"}
            video.options = {**quick, "crf": "4"} if codec == "libx264" else {"deadline": "realtime", "crf": "4"}
            video.codec_context.color_range, video.codec_context.colorspace = 1, 1
        audio: Any = container.add_stream(sound_codec, rate=rate) if sound is not None else None
        if audio is not None:
            audio.layout = layout
        if video is not None:
            for index in range(round(seconds * fps)):
                frame = picture(size, luma(index))
                frame.pts, frame.time_base = index, Fraction(1, fps)
                frame.color_range, frame.colorspace = 1, 1
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio is not None and sound is not None:
            _sounds(container, audio, sound, rate, layout)
    return path


def _sounds(container: Any, stream: Any, sound: Sound, rate: int, layout: str) -> None:
    step = stream.codec_context.frame_size or 1024
    for start in range(0, sound.size, step):
        block = sound[start : start + step]
        channels = [block] * (2 if layout == "stereo" else 1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(np.stack(channels)), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def damaged(path: Path, share: float, size: int = 4000) -> Path:
    """The same file with some bytes in its middle overwritten."""
    data = bytearray(path.read_bytes())
    begin = int(len(data) * share)
    data[begin : begin + size] = bytes(
        np.random.default_rng(1).integers(0, 255, min(size, len(data) - begin), np.uint8)
    )
    path.write_bytes(data)
    return path


def pulled(strip: Any, seconds: float, samples: int = 1600) -> Sound:
    """What is heard from session time 0 on, on the left."""
    blocks: Sequence[Sound] = [
        np.zeros(samples, np.float32) if (block := strip.pull(n * samples * 1_000_000_000 // RATE, samples)) is None
        else block[0]
        for n in range(round(seconds * RATE / samples))
    ]  # fmt: skip
    return np.concatenate(blocks)
