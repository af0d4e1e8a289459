"""Encoders: pictures to H.264 at an exact constant frame rate, sound to AAC or Opus without losing a sample."""

from __future__ import annotations

import io
import queue
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from egress.media.encoding import Encoder, OnError, OnPacket
from egress.media.planes import Plane, black, planes
from egress.media.samples import Samples
from egress.media.x264 import X264, keyint
from egress.model.clock import monotonic
from egress.model.errors import Fault, RequestError
from egress.model.media import Codec, Nanos, Size, StreamInfo
from egress.model.pipeline import Audio, Video

DEPTH: Final = 6
"""Pictures that may wait for the video encoder; one more is refused and later made up for by a repeat."""

BACKLOG: Final = 10
"""Seconds of sound that may wait for the audio encoder; more means that it has failed."""

_CLOSE_WITHIN = 30.0
_AAC_PRIMING = 1024


class VideoEncoder(Encoder):
    """Encodes picture n of the programme at pts n, for every n from 0: what is missing is a repeat of the last one.

    Raises RequestError when libx264 refuses the document. Once `error` is set, nothing more is encoded.
    """

    def __init__(
        self, doc: Video, on_packet: OnPacket, *, id: str = "video", on_error: OnError | None = None, rung: int = 0
    ) -> None:
        super().__init__(id, on_packet, on_error)
        self.pictures = 0
        self.repeated = 0
        self.refused = 0
        self.late = 0
        self.busy: Nanos = 0
        """How long encoding has taken altogether, waiting for a core included; read from any thread."""
        self.swaps = 0
        """How often libx264 gave way to another one that encodes the same stream at another cost."""
        self.unlike = 0
        """How often it could not, because the other one's stream would have needed other headers."""
        self._size = doc.size
        self._time_base = 1 / doc.fps
        self._doc = doc
        self._keyint = keyint(doc)
        self._keys: set[int] = set()
        self._keyed = -1
        self._encoding = X264(doc)
        self._hasty = self._wanted_hasty = False
        self.info = StreamInfo(
            id=id,
            kind="video",
            codec=Codec.H264,
            time_base=self._time_base,
            extradata=self._encoding.headers,
            bitrate=doc.bitrate,
            size=doc.size,
            fps=doc.fps,
            rung=rung,
        )
        self._canvas: av.VideoFrame | None = None
        self._source: tuple[Plane, ...] = ()
        self._reformatter = VideoReformatter()
        self._free: queue.SimpleQueue[_Copy] = queue.SimpleQueue()
        self._made = 0
        self._waiting: queue.SimpleQueue[tuple[int, _Copy | None]] = queue.SimpleQueue()
        self._last: _Copy | None = None
        self._next = 0
        self._closing = False
        self._thread.start()

    def offer(self, n: int, canvas: av.VideoFrame, *, patience: float = 0.0) -> bool:
        """Copy picture n for encoding; False when it was refused (a repeat takes its place).

        Waits `patience` seconds at most for room in the queue: not at all unless asked to.
        """
        if self.error or self._closing:
            return False
        if canvas is not self._canvas:
            self._adopt(canvas)
        try:
            copy = self._room(canvas, patience)
        except queue.Empty:
            self.refused += 1
            return False
        for target, source in zip(copy.planes, self._source, strict=True):
            target[...] = source
        self._waiting.put((n, copy))
        return True

    def key(self, n: int) -> None:
        """Have picture n, which is still to be offered, be a keyframe besides the regular ones."""
        self._keys.add(n)

    def hasten(self, hasty: bool) -> None:
        """Encode for less CPU from the next regular keyframe on, or as the document says again; from any thread.

        The stream stays one: its headers, times and keyframes are the same, and no picture is left out.
        """
        self._wanted_hasty = hasty

    @property
    def waiting(self) -> int:
        """How many pictures wait to be encoded; read from any thread."""
        return self._waiting.qsize()

    def begin_close(self, total: int) -> None:
        """End the programme at `total` pictures, repeating the last up to there; `close` waits for that."""
        if not self._closing:
            self._closing = True
            self._waiting.put((total, None))

    def close(self, total: int, *, timeout: float = _CLOSE_WITHIN) -> None:
        """End the programme at `total` pictures (repeating the last up to there) and wait for the last packet."""
        self.begin_close(total)
        self._join(timeout)

    def stats(self) -> Mapping[str, int]:
        """Counters since the start; `late` pictures came after theirs was made up for; `waiting` wait now; `swaps`
        of encoders under overload, and those not made because they were `unlike`."""
        return {
            "pictures": self.pictures,
            "repeated": self.repeated,
            "refused": self.refused,
            "late": self.late,
            "waiting": self.waiting,
            "swaps": self.swaps,
            "unlike": self.unlike,
            "packets": self.packets,
            "bytes": self.bytes,
        }

    def _room(self, canvas: av.VideoFrame, patience: float) -> _Copy:
        """A frame to copy a picture to; raises queue.Empty when there is no room for it."""
        if patience <= 0 and self.waiting >= DEPTH:
            raise queue.Empty
        # Those that wait, the one being encoded, and the last one kept for repeats: mostly few of them are needed.
        if self._free.empty() and self._made < DEPTH + 2:
            self._made += 1
            return _Copy.of(Size(canvas.width, canvas.height))
        return self._free.get(timeout=patience) if patience > 0 else self._free.get_nowait()

    def _adopt(self, canvas: av.VideoFrame) -> None:
        if self._canvas is not None and (canvas.width, canvas.height) != (self._canvas.width, self._canvas.height):
            raise Fault(f"the canvas changed to {canvas.width}x{canvas.height} while it was being encoded")
        self._canvas = canvas
        self._source = planes(canvas)

    def _work(self) -> None:
        while True:
            n, copy = self._waiting.get()
            if copy is None:
                self._repeat(n, self._last or _Copy.of(self._size))
                break
            self._repeat(n, self._last or copy)
            if n < self._next:
                self.late += 1
                self._free.put(copy)
                continue
            self._encode(copy.frame)
            if self._last is not None:
                self._free.put(self._last)
            self._last = copy
            self.pictures += 1
        self._flush()

    def _flush(self) -> None:
        for packet in self._encoding.stream.encode(None):
            self._deliver(packet)

    def _swap(self) -> None:
        """Let another encoder follow at the regular keyframe that is next, if it makes the same stream.

        What looks ahead or has B-frames gives what it still holds first. As both order pictures alike, the decode times
        of the one go on where those of the other end.
        """
        hasty = self._wanted_hasty
        other = X264(self._doc, hasty=hasty, follows=True)
        self._hasty = hasty
        if other.headers != self.info.extradata:
            self.unlike += 1
            return
        self._flush()
        self._encoding = other
        self.swaps += 1

    def _repeat(self, until: int, copy: _Copy) -> None:
        while self._next < until:
            self._encode(copy.frame)
            self.repeated += 1

    def _encode(self, frame: av.VideoFrame) -> None:
        begun = monotonic()
        if (frame.width, frame.height) != (self._size.width, self._size.height):
            frame = self._reformatter.reformat(
                frame,
                self._size.width,
                self._size.height,
                "yuv420p",
                Colorspace.ITU709,
                Colorspace.ITU709,
                Interpolation.BILINEAR,
                ColorRange.MPEG,
                ColorRange.MPEG,
                ColorTrc.BT709,
                ColorPrimaries.BT709,
                1,
            )
        frame.pts, frame.time_base = self._next, self._time_base
        # x264 counts from the last keyframe of any kind: said outright, regular ones stay where they belong.
        regular = self._next % self._keyint == 0
        # IDR pictures side by side must have numbers of their own (ITU-T H.264 7.4.3), and each encoder counts anew.
        if regular and self._wanted_hasty is not self._hasty and self._next - self._keyed > 1:
            self._swap()
        key = regular or self._next in self._keys
        if key:
            self._keyed = self._next
        frame.pict_type = PictureType.I if key else PictureType.NONE
        self._keys.discard(self._next)
        for packet in self._encoding.stream.encode(frame):
            self._deliver(packet)
        self._next += 1
        self.busy += monotonic() - begun


@dataclass(frozen=True, slots=True, eq=False)
class _Copy:
    """A copy of the canvas, and its planes, for views take a while to make."""

    frame: av.VideoFrame
    planes: tuple[Plane, Plane, Plane]

    @classmethod
    def of(cls, size: Size) -> _Copy:
        frame = black(size)
        return cls(frame, planes(frame))


class AudioEncoder(Encoder):
    """Encodes contiguous blocks of sound: sample k of what was offered has pts k; priming packets come before 0.

    Nothing is dropped. When BACKLOG seconds wait, the encoder has failed: `error` is set and `offer` says False.
    """

    def __init__(self, doc: Audio, on_packet: OnPacket, *, id: str = "audio", on_error: OnError | None = None) -> None:
        super().__init__(id, on_packet, on_error)
        self.samples = 0
        self.refused = 0
        self._taken = 0
        self._doc = doc
        self._layout = "stereo" if doc.channels == 2 else "mono"
        self._time_base = Fraction(1, doc.rate)
        # The stream lives in a container that is never muxed: only so does libav give it a global header.
        self._container = av.open(io.BytesIO(), "w", format="mp4")
        self._stream = self._open(doc)
        extradata = self._stream.codec_context.extradata or b""
        codec = Codec(doc.codec)
        self.info = StreamInfo(
            id=id,
            kind="audio",
            codec=codec,
            time_base=self._time_base,
            extradata=extradata,
            bitrate=doc.bitrate,
            rate=doc.rate,
            channels=doc.channels,
            # OpusHead (RFC 7845 5.1) says the pre-skip; libav's AAC encoder always primes with one frame.
            initial_padding=int.from_bytes(extradata[10:12], "little") if codec is Codec.OPUS else _AAC_PRIMING,
        )
        self._waiting: queue.SimpleQueue[Samples | None] = queue.SimpleQueue()
        self._closing = False
        self._thread.start()

    def _open(self, doc: Audio) -> av.AudioStream:
        if doc.codec == "opus":
            stream = self._container.add_stream("libopus", rate=doc.rate)
        else:
            stream = self._container.add_stream("aac", rate=doc.rate)
        context = stream.codec_context
        context.layout = self._layout
        context.format = "flt" if doc.codec == "opus" else "fltp"
        context.time_base = self._time_base
        stream.bit_rate = doc.bitrate
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            message = f"the sound cannot be encoded as {doc.codec} at {doc.bitrate} bit/s: {error}"
            raise RequestError(message, (("audio", message),)) from error
        return stream

    def offer(self, block: Samples) -> bool:
        """Queue float32 samples of shape (channels, n), which follow those offered before; the encoder keeps them."""
        if self.error or self._closing:
            return False
        if block.ndim != 2 or block.shape[0] != self._doc.channels:
            raise Fault(f"{self.id} encoder was offered {block.shape}, not ({self._doc.channels}, n)")
        if self.samples - self._taken > BACKLOG * self._doc.rate:
            self.refused += 1
            self._fail(Fault(f"{self.id} encoder is more than {BACKLOG} s behind: the machine is overloaded"))
            return False
        if block.shape[1]:
            self.samples += block.shape[1]
            self._waiting.put(block)
        return True

    def close(self, *, timeout: float = _CLOSE_WITHIN) -> None:
        """Encode what waits and wait for the last packet, which ends exactly at the number of samples offered."""
        if not self._closing:
            self._closing = True
            self._waiting.put(None)
        self._join(timeout)

    def stats(self) -> Mapping[str, int]:
        """Counters since the start; `waiting` is how many samples wait now."""
        return {
            "samples": self.samples,
            "waiting": self.samples - self._taken,
            "refused": self.refused,
            "packets": self.packets,
            "bytes": self.bytes,
        }

    def _work(self) -> None:
        while (block := self._waiting.get()) is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts, frame.time_base = self._doc.rate, self._taken, self._time_base
            self._taken += block.shape[1]
            for packet in self._stream.encode(frame):
                self._deliver(packet)
        if self._taken:
            for packet in self._stream.encode(None):
                self._deliver(packet)
