"""How others compose the same clips: the words of their commands, and what of a job they cannot be told."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from egress.layouts.base import Box
from egress.layouts.geometry import arrange
from egress.model.media import Size

GAP = 8
KEYINT = 60


@dataclass(frozen=True, slots=True)
class Setting:
    """How the picture is encoded; always at 30 fps, a keyframe every 60 pictures, half a second of buffer."""

    canvas: Size
    preset: str
    tune: str

    @property
    def bitrate(self) -> int:
        """Bits a second: what suits the size."""
        return 3_000_000 if self.canvas.height <= 720 else 5_000_000

    def __str__(self) -> str:
        return f"{self.canvas} {self.preset}{'' if self.tune == 'none' else '+' + self.tune}"


def boxes(count: int, canvas: Size) -> tuple[Box, ...]:
    """Where our grid has its tiles."""
    return arrange(count, canvas, gap=GAP, margin=0)


def newest_ffmpeg() -> tuple[str, str] | None:
    """The ffmpeg that PyPI has, and its version: `pip install imageio-ffmpeg`; None when it is not installed."""
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    return imageio_ffmpeg.get_ffmpeg_exe(), imageio_ffmpeg.get_ffmpeg_version().partition("-")[0].lstrip("n")


def gstreamer() -> str | None:
    """GStreamer's launcher; None when it is not installed."""
    return shutil.which("gst-launch-1.0")


def x264(setting: Setting) -> list[str]:
    """Options of ffmpeg for the same encoder in the same way."""
    rate = setting.bitrate
    words = [
        "-c:v",
        "libx264",
        "-preset",
        setting.preset,
        "-profile:v",
        "high",
        "-b:v",
        str(rate),
        "-maxrate",
        str(rate),
    ]
    words += ["-bufsize", str(rate // 2), "-g", str(KEYINT), "-keyint_min", str(KEYINT), "-sc_threshold", "0"]
    return words + (["-tune", setting.tune] if setting.tune != "none" else [])


def ffmpeg(program: str, files: Sequence[Path], setting: Setting, out: Path) -> list[str]:
    """`xstack` and `amix`."""
    canvas, places = setting.canvas, boxes(len(files), setting.canvas)
    words = [program, "-v", "error", "-y"]
    for path in files:
        words += ["-i", str(path)]
    chains = [
        f"[{n}:v]scale={box.width}:{box.height}:flags=bilinear:force_original_aspect_ratio=increase,"
        f"crop={box.width}:{box.height}[v{n}]"
        for n, box in enumerate(places)
    ]
    layout = "|".join(f"{box.x}_{box.y}" for box in places)
    inputs = "".join(f"[v{n}]" for n in range(len(files)))
    stack = f"xstack=inputs={len(files)}:layout={layout}:fill=black" if len(files) > 1 else "null"
    chains.append(f"{inputs}{stack},pad={canvas.width}:{canvas.height}[v]")
    sounds = "".join(f"[{n}:a]" for n in range(len(files)))
    chains.append(f"{sounds}amix=inputs={len(files)}:normalize=0[a]")
    words += ["-filter_complex", ";".join(chains), "-map", "[v]", "-map", "[a]", "-r", "30", *x264(setting)]
    return [*words, "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", str(out)]


def gst(files: Sequence[Path], setting: Setting, out: Path) -> list[str]:
    """`compositor` and `audiomixer`; x264enc rates by its own pass (`cbr`) with a buffer of as many milliseconds."""
    canvas = setting.canvas
    places = [
        f"sink_{n}::xpos={box.x} sink_{n}::ypos={box.y} sink_{n}::width={box.width} sink_{n}::height={box.height}"
        for n, box in enumerate(boxes(len(files), canvas))
    ]
    encoder = f"x264enc speed-preset={setting.preset} bitrate={setting.bitrate // 1000} vbv-buf-capacity=500"
    encoder += f" key-int-max={KEYINT} option-string=scenecut=0:keyint_min={KEYINT}"
    # Its own default is no B-frames, whatever the preset says.
    encoder += f" tune={setting.tune}" if setting.tune != "none" else " bframes=3 b-adapt=true"
    text = f"compositor name=c background=black {' '.join(places)}"
    text += f" ! video/x-raw,format=I420,width={canvas.width},height={canvas.height},framerate=30/1 ! {encoder}"
    text += f" ! h264parse ! mp4mux name=m ! filesink location={out}"
    text += " audiomixer name=a ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! avenc_aac bitrate=128000"
    text += " ! aacparse ! queue ! m."
    for n, path in enumerate(files):
        text += f" filesrc location={path} ! qtdemux name=d{n} d{n}.video_0 ! queue ! h264parse ! avdec_h264"
        text += f" ! queue ! c.sink_{n} d{n}.audio_0 ! queue ! aacparse ! avdec_aac ! audioconvert ! audioresample ! a."
    return ["gst-launch-1.0", "-q", *text.split()]


def check(path: Path, count: int, setting: Setting, seconds: float) -> str | None:
    """What is wrong with a product: its size, its length, its number of pictures, or a tile that does not move."""
    early, late, pictures = None, None, 0
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return "it has no sound"
        video, audio = container.streams.video[0], container.streams.audio[0]
        if (video.width, video.height) != (setting.canvas.width, setting.canvas.height):
            return f"it is {video.width}x{video.height}"
        length = float(audio.duration * audio.time_base) if audio.duration is not None and audio.time_base else 0.0
        if abs(length - seconds) > 0.5:
            return f"its sound lasts {length:.2f} s"
        for frame in container.decode(video):
            pictures += 1
            if pictures == 45:
                early = _luma(frame)
            elif pictures == 105:
                late = _luma(frame)
    if abs(pictures - seconds * 30) > 15:
        return f"it has {pictures} pictures"
    assert early is not None and late is not None
    for number, box in enumerate(boxes(count, setting.canvas)):
        region = (slice(box.y + 4, box.y + box.height - 4), slice(box.x + 4, box.x + box.width - 4))
        if abs(early[region] - late[region]).mean() < 0.5 or late[region].std() < 4:
            return f"its tile {number} does not move"
    return None


def _luma(frame: av.VideoFrame) -> Any:
    return frame.to_ndarray(format="gray").astype(float)
