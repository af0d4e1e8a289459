"""Clips to compose: those of the demo's participants as files, and busier ones, made once into a cache folder."""

from __future__ import annotations

import os
import subprocess
from fractions import Fraction
from pathlib import Path

import av

from egress.demo import clip as loops
from egress.demo.people import person
from egress.model.media import Codec, Size

SIZE = Size(640, 360)
FPS = 30

_SCENES = (
    "testsrc2=size=640x360:rate=30",
    "mandelbrot=size=640x360:rate=30:start_scale={scale}:end_pts=900",
    "life=size=160x90:rate=30:mold=10:ratio=0.{ratio}:seed={seed}:death_color=#204080:life_color=#ffd070,scale=640:360",
    "gradients=size=640x360:rate=30:seed={seed}:speed=0.03:nb_colors=6",
    "cellauto=size=320x180:rate=30:rule={rule}:seed={seed},scale=640:360",
)


def folder() -> Path:
    """Where clips are kept: beside those of the demo."""
    return loops.folder().parent / "benchmarks"


def participants(count: int, codec: Codec = Codec.VP8) -> list[Path]:
    """The demo's participants as they are sent, 640x360 at 30 with Opus, a loop of ten seconds each."""
    loops.prepare([(person(index), SIZE, FPS, codec) for index in range(count)])
    return [
        _made(folder() / f"participant-{codec}-{index}.{'webm' if codec is Codec.VP8 else 'mkv'}", codec, index)
        for index in range(count)
    ]


def scenes(count: int, seconds: int) -> list[Path]:
    """Distinct, moving, slightly noisy 640x360 at 30, H.264 without B-frames at 800 kbit/s, AAC tones."""
    return [_drawn(folder() / f"scene-709-{seconds}-{index}.mp4", index, seconds) for index in range(count)]


def _made(path: Path, codec: Codec, index: int) -> Path:
    if path.exists():
        return path
    picture = loops.video(person(index), SIZE, FPS, codec)
    half = _half(path)
    with av.open(str(half), "w", format="webm" if codec is Codec.VP8 else "matroska") as container:
        video = container.add_mux_stream(str(codec), rate=FPS, width=SIZE.width, height=SIZE.height)
        audio = container.add_mux_stream("opus", rate=48000)
        packets = [
            *((video, frame, n * 1000 // FPS, n in picture.keys) for n, frame in enumerate(picture.frames)),
            *((audio, data, n * 20, True) for n, data in enumerate(loops.audio(person(index)))),
        ]
        video.time_base = audio.time_base = Fraction(1, 1000)
        for stream, data, at, key in sorted(packets, key=lambda row: row[2]):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = at
            packet.is_keyframe = key
            container.mux(packet)
    half.replace(path)
    return path


def _drawn(path: Path, index: int, seconds: int) -> Path:
    if path.exists():
        return path
    half = _half(path)
    scene = _SCENES[index % len(_SCENES)].format(
        seed=1000 + index,
        rule=(30, 90, 110, 150, 45)[index // len(_SCENES) % 5],
        ratio=3 + index % 5,
        scale=3 - index / 10,
    )
    # A bar across each scene at a speed of its own: so that no two clips, and no two pictures of one, are alike.
    moving = f"drawbox=x='mod(t*{40 + 12 * index},600)':y={12 * (index % 25)}:w=40:h=20:color=red:t=fill"
    picture = f"{scene},format=yuv420p,noise=alls=6:allf=t:all_seed={index},{moving}"
    sound = f"sine=frequency={180 + 40 * index}:sample_rate=48000,volume=0.1,tremolo=f=3:d=0.8"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    command += ["-t", str(seconds), "-c:v", "libx264", "-profile:v", "baseline", "-preset", "veryfast"]
    # Said to be BT.709, as cameras and recorders do, so that nobody has a reason to convert colours.
    command += [word for name in ("colorspace", "color_primaries", "color_trc") for word in (f"-{name}", "bt709")]
    command += ["-b:v", "800k", "-maxrate", "1200k", "-bufsize", "800k", "-g", "60", "-c:a", "aac", "-b:a", "64k"]
    subprocess.run([*command, "-ac", "2", "-f", "mp4", str(half)], check=True)
    half.replace(path)
    return path


def _half(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{os.getpid()}-{path.name}")
