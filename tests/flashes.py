"""A real encoded programme that flashes and beeps on every whole second, and the measure of how far apart they play."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import numpy as np

from egress.model.media import Codec, Packet, Size, StreamInfo
from egress.sinks.base import Sink, SinkContext

RATE = 48_000
SIZE = Size(96, 54)
STARTED = datetime(2026, 3, 29, 0, 59, 58, 250_000, tzinfo=UTC)
_GLOBAL_HEADER = 1 << 22


@dataclass(frozen=True)
class Programme:
    """Streams and their packets, interleaved as encoders would give them."""

    streams: tuple[StreamInfo, ...]
    packets: tuple[Packet, ...]


@cache
def programme(
    seconds: float,
    *,
    fps: Fraction = Fraction(30),
    keyframe: int = 60,
    b_frames: int = 0,
    sound: Codec | None = Codec.AAC,
    picture: bool = True,
) -> Programme:
    """White for 100 ms and a 1 kHz beep of 100 ms at every whole second."""
    streams: list[StreamInfo] = []
    packets: list[Packet] = []
    if picture:
        info, made = _pictures(seconds, fps, keyframe, b_frames)
        streams.append(info)
        packets += made
    if sound:
        info, made = _beeps(seconds, sound)
        streams.append(info)
        packets += made
    bases = {info.id: info.time_base for info in streams}
    packets.sort(key=lambda packet: packet.dts * bases[packet.stream])
    return Programme(tuple(streams), tuple(packets))


def offsets(path: Path | str) -> list[float]:
    """Milliseconds each beep of a product is behind its flash, as libav presents them."""
    flashes: list[float] = []
    beeps: list[float] = []
    dark = True
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0], container.streams.audio[0]):
            assert frame.time is not None
            if isinstance(frame, av.VideoFrame):
                bright = frame.to_ndarray(format="gray").mean() > 150
                if bright and dark:
                    flashes.append(frame.time)
                dark = not bright
            else:
                loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1) / RATE + frame.time
                for at in loud:
                    if not beeps or at - beeps[-1] > 0.5:
                        beeps.append(float(at))
    # The first 20 ms of sound fade in where an encoder's priming is cut off, so second 0 is not measured.
    pairs = [(flash, beep) for flash in flashes for beep in beeps if abs(flash - beep) < 0.4 and flash > 0.5]
    return [(beep - flash) * 1000 for flash, beep in pairs]


def context(folder: Path, to: Path, told: Callable[[dict[str, Any]], None] | None = None) -> SinkContext:
    """A sink's context with its spool folder made."""
    folder.mkdir(parents=True, exist_ok=True)
    return SinkContext("job1", "local:standup", "Stand-up", STARTED, folder, str(to), told or (lambda event: None))


def feed(sink: Sink, show: Programme) -> None:
    """Open a sink and write the whole programme."""
    sink.open(show.streams)
    for packet in show.packets:
        sink.write(packet)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder behind a plain web server; its address without a slash at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


def _pictures(seconds: float, fps: Fraction, keyframe: int, b_frames: int) -> tuple[StreamInfo, list[Packet]]:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = 1 / fps, fps, 200_000
    encoder.flags |= _GLOBAL_HEADER
    settings = f"keyint={keyframe}:min-keyint={keyframe}:scenecut=0:open-gop=0:bframes={b_frames}:colorprim=bt709"
    encoder.options = {"preset": "superfast", "x264-params": settings}
    if not b_frames:
        encoder.options |= {"tune": "zerolatency"}
    encoder.open()
    packets: list[Packet] = []
    for number in range(round(seconds * fps)):
        planes = np.full((SIZE.height * 3 // 2, SIZE.width), 128, np.uint8)
        planes[: SIZE.height] = 235 if number % round(fps) < 3 else 16 + number % 60
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, 1 / fps
        packets += [_packet("video", packet) for packet in encoder.encode(frame)]
    packets += [_packet("video", packet) for packet in encoder.encode(None)]
    header = bytes(encoder.extradata or b"")
    return StreamInfo("video", "video", Codec.H264, 1 / fps, header, 200_000, size=SIZE, fps=fps), packets


def _beeps(seconds: float, codec: Codec) -> tuple[StreamInfo, list[Packet]]:
    opus = codec is Codec.OPUS
    encoder = av.CodecContext.create("libopus" if opus else "aac", "w")
    encoder.rate, encoder.layout, encoder.format = RATE, "stereo", "flt" if opus else "fltp"
    encoder.bit_rate, encoder.time_base = 96_000, Fraction(1, RATE)
    encoder.flags |= _GLOBAL_HEADER
    encoder.open()
    size = encoder.frame_size
    at = np.arange(round(seconds * RATE))
    wave = np.where(at % RATE < RATE // 10, 0.5 * np.sin(2 * np.pi * 1000 * at / RATE), 0).astype(np.float32)
    packets: list[Packet] = []
    for start in range(0, len(wave), size):
        block = np.tile(wave[start : start + size], (2, 1))
        shaped = np.ascontiguousarray(block.T).reshape(1, -1) if opus else block
        frame = av.AudioFrame.from_ndarray(shaped, format="flt" if opus else "fltp", layout="stereo")
        frame.rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        packets += [_packet("audio", packet, size) for packet in encoder.encode(frame)]
    packets += [_packet("audio", packet, size) for packet in encoder.encode(None)]
    header = bytes(encoder.extradata or b"")
    padding = -packets[0].pts
    base = Fraction(1, RATE)
    return StreamInfo(
        "audio", "audio", codec, base, header, 96_000, rate=RATE, channels=2, initial_padding=padding
    ), packets


def _packet(stream: str, packet: av.Packet[Any], duration: int = 1) -> Packet:
    assert packet.pts is not None and packet.dts is not None
    return Packet(stream, bytes(packet), packet.pts, packet.dts, duration, packet.is_keyframe)
