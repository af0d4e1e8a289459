"""A small live programme, encoded and written as HLS by the product's own encoders and sink, in real time."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np

from egress.media.encoder import AudioEncoder
from egress.media.ladder import Ladder
from egress.model.media import SECOND, Packet, Size
from egress.model.outputs import CaptionsDoc, HlsDoc
from egress.model.pipeline import Audio, RungDoc, Video
from egress.sinks.base import CAPTION, Mark, SinkContext, SinkState, SinkThread
from egress.sinks.hls import HlsSink

_DEEP = 100
"""Items that may wait to be written."""


class Broadcast:
    """Writes 320x180 picture and a tone into `folder` until stopped, in segments of 2 s and parts of 500 ms.

    The first `behind` seconds are written at once, as if it had begun that long ago. `rungs` are smaller pictures
    beside it; `captions` says a word every second, which is its number.
    """

    def __init__(
        self,
        folder: Path,
        announce: Callable[[dict[str, Any]], None],
        *,
        behind: float = 0.0,
        rungs: tuple[RungDoc, ...] = (),
        captions: tuple[CaptionsDoc, ...] = (),
        single_file: bool = False,
    ) -> None:
        doc = HlsDoc(
            kind="hls",
            to="hls",
            part="500ms",
            segment="2s",
            audio_only=bool(rungs),
            captions=captions,
            single_file=single_file,
        )
        self._video = Video(size=Size(320, 180), bitrate=300_000, preset="ultrafast", ladder=rungs)
        spool = folder.parent / "spool"
        spool.mkdir()
        started = datetime.now(UTC) - timedelta(seconds=behind)
        context = SinkContext("job", "talk", "Talk", started, spool, str(folder), announce)
        self._sink = HlsSink(doc, context)
        self._behind = behind
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        packets: queue.SimpleQueue[Packet] = queue.SimpleQueue()
        picture = Ladder(self._video, packets.put)
        sound = AudioEncoder(Audio(), packets.put)
        thread = SinkThread("hls", self._sink, (*picture.infos, sound.info))
        thread.offer(Mark(SECOND, "join", "Ada joined"))
        canvas = av.VideoFrame(320, 180, "yuv420p")
        luma = np.frombuffer(canvas.planes[0], np.uint8).reshape(180, -1)
        tone = np.sin(np.arange(48_000) * (2 * np.pi * 440 / 48_000), dtype=np.float32) * np.float32(0.3)
        begun = time.monotonic() - self._behind
        for n in itertools.count():
            if self._over.wait(max(0.002, begun + n / 30 - time.monotonic())):
                break
            luma[:] = n % 200 + 20
            if n % 30 == 0:
                thread.offer(Mark(n // 30 * SECOND, CAPTION, f"second {n // 30}", SECOND))
            picture.offer(n, canvas)
            sound.offer(np.stack([tone[n % 30 * 1600 :][:1600]] * 2))
            while not packets.empty():
                thread.offer(packets.get())
            # What was behind comes faster than live, and a busy machine may be long in writing it.
            while thread.depth > _DEEP and not self._over.is_set():
                time.sleep(0.005)
        picture.close(n)
        sound.close()
        while not packets.empty():
            thread.offer(packets.get())
        thread.finish()
        thread.join(60)
        assert thread.state is SinkState.CLOSED, thread.error
