"""Where a preview goes: one picture or a clip, by its name's ending, in the file's place only when it is whole."""

from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
from PIL import Image

from egress.media.encoder import AudioEncoder, VideoEncoder
from egress.model.errors import EgressError, Fault
from egress.model.media import SECOND, Packet
from egress.preview.plan import Plan, beside, cannot_write
from egress.preview.showing import Showing
from egress.sinks.muxing import MuxedStream

_PATIENCE = 60.0
"""Seconds the video encoder may take for one picture."""


def make(plan: Plan, on_warning: Callable[[str], None]) -> None:
    """Draw what is planned and put it in its place; raises EgressError."""
    showing = Showing(plan.pipeline, plan.video, plan.rehearsal, on_warning)
    if plan.at is not None:
        save_picture(showing.picture_at(plan.at), plan.out)
    else:
        _whole(plan.out, lambda temporary: _Clip(showing, plan).write(temporary))


def save_picture(canvas: av.VideoFrame, path: Path) -> None:
    """Write a canvas as PNG, JPEG or WebP; raises EgressError."""
    image = Image.fromarray(canvas.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray())
    kind = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[path.suffix.lower()]
    options = {"quality": 90} if kind != "PNG" else {"optimize": True}
    _whole(path, lambda temporary: image.save(temporary, kind, **options))


class _Clip:
    """The programme's own encoders, fed as fast as they take it."""

    def __init__(self, showing: Showing, plan: Plan) -> None:
        self._showing = showing
        self._length = plan.length
        self._sound = plan.pipeline.audio
        # Each side waits for the other: at most what the encoders hold back comes at once.
        self._packets: queue.SimpleQueue[Packet] = queue.SimpleQueue()
        self._errors: queue.SimpleQueue[EgressError] = queue.SimpleQueue()
        self._video = VideoEncoder(plan.video, self._packets.put, on_error=self._errors.put)
        self._audio = AudioEncoder(plan.pipeline.audio, self._packets.put, on_error=self._errors.put)

    def write(self, path: Path) -> None:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            streams = {encoder.info.id: MuxedStream(container, encoder.info) for encoder in (self._video, self._audio)}

            def mux() -> None:
                with suppress(queue.Empty):
                    while True:
                        packet = self._packets.get_nowait()
                        container.mux(streams[packet.stream].av_packet(packet))

            number, samples = 0, 0
            while (at := self._showing.at(number)) < self._length:
                canvas = self._showing.draw()
                if not self._video.offer(number, canvas, patience=_PATIENCE):
                    break
                number += 1
                due = self._showing.at(number) * self._sound.rate // SECOND
                self._audio.offer(np.zeros((self._sound.channels, due - samples), np.float32))
                samples = due
                mux()
            self._video.close(number)
            self._audio.close()
            if not self._errors.empty():
                raise self._errors.get()
            if at < self._length:
                raise Fault("the video encoder takes no more pictures")
            mux()


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let a file appear in its place only when it is whole; raises RequestError when it cannot be written."""
    temporary = beside(path)
    try:
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
