"""One file of tracks as they were sent: WebM, or MP4 when there is H.264; plays up to its last second after a crash."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from egress.model.errors import DestinationError, Fault
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos, Size, StreamInfo
from egress.sinks.avc import length_prefixed, nal_units, parameters
from egress.sinks.muxing import MuxedStream

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

WEBM, MP4 = ".webm", ".mp4"

LOOKAHEAD: Nanos = 6_500_000
"""What an Opus encoder delays sound by (312 samples at 48 kHz): what decodes to k was captured that much before."""

_CRASH: Nanos = SECOND
"""A crash takes what is younger than this, and what is on its way."""

_INTERLEAVE = 250_000
"""Microseconds that one stream waits for another, which may be silent."""

_RATES = {"video": 90_000, "audio": 48_000}
LENGTHS: Mapping[str, Nanos] = {"video": SECOND // 30, "audio": 20 * MILLISECOND}
"""How long the last frame of a file is taken to last; of the others the next one says it."""

_OPUS_HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 0, 48_000, 0, 0)
"""RFC 7845, 5.1: two channels, nothing to be skipped, for the stream began elsewhere."""

_MOST_SIDE = 16_384
_SETS, _DELIMITER = (7, 8), 9


@dataclass(frozen=True, slots=True)
class Form:
    """What a container has to know of a track. A track whose form changes cannot go on in its file.

    `head` is the parameter sets of H.264 (Annex B), which may change as long as size and profile stay; `size` that of
    the first picture, no part of the form of VP8, whose every keyframe says its own.
    """

    codec: Codec
    head: bytes = b""
    size: Size | None = None
    profile: str = ""

    @classmethod
    def of(cls, frame: EncodedFrame) -> Form:
        """The form of what begins with this keyframe or packet; raises Fault when it cannot be told."""
        try:
            form = cls._read(frame)
        except (ValueError, OverflowError, struct.error) as error:
            # What strangers send must not be more than a keyframe lost.
            raise Fault(f"its header is broken: {error}") from error
        if form.size is not None and not (0 < form.size.width <= _MOST_SIDE and 0 < form.size.height <= _MOST_SIDE):
            raise Fault(f"it claims to be {form.size} large")
        return form

    @classmethod
    def _read(cls, frame: EncodedFrame) -> Form:
        if frame.codec is Codec.VP8:
            width, height = struct.unpack_from("<HH", frame.data, 6)
            return cls(frame.codec, size=Size(width & 0x3FFF, height & 0x3FFF))
        if frame.codec is Codec.H264:
            units = [unit for unit in nal_units(frame.data) if unit[0] & 31 in _SETS]
            head = b"".join(b"\0\0\0\1" + unit for unit in dict.fromkeys(units))
            said = parameters(head)
            return cls(frame.codec, head, Size(said.width, said.height), said.codec[5:7])
        return cls(frame.codec)

    @classmethod
    def sound(cls) -> Form:
        """That of sound, which needs to be told nothing."""
        return cls(Codec.OPUS)

    def continues(self, other: Form) -> bool:
        """Whether a file of this form can go on with the other."""
        if self.codec is not Codec.H264:
            return self.codec is other.codec
        return (self.codec, self.size, self.profile) == (other.codec, other.size, other.profile)

    @property
    def kind(self) -> str:
        """Picture or sound."""
        return "audio" if self.codec is Codec.OPUS else "video"


@dataclass(slots=True)
class _Stream:
    """A stream of the container, and the frame that waits for its end, which the next one says.

    `head` is the parameter sets the container declares; `inside` says that others have come since, which stand in the
    stream from then on, as players take them from there as well.
    """

    stream: VideoStream | AudioStream
    kind: str
    base: Fraction
    head: bytes
    inside: bool = False
    held: tuple[bytes, int, bool] | None = None


def suffix(forms: Sequence[Form]) -> str:
    """What a file of these tracks ends in."""
    return MP4 if any(form.codec is Codec.H264 for form in forms) else WEBM


class TrackFile:
    """Writes frames of one picture, one sound, or both, at file times in ns; every method raises DestinationError."""

    def __init__(self, path: Path, forms: Mapping[str, Form], tags: Mapping[str, str]) -> None:
        """`forms` by track."""
        self.path = path
        options = {"flush_packets": "1", "max_interleave_delta": str(_INTERLEAVE)}
        if path.suffix == MP4:
            options |= {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": str(_CRASH // 1000)}
        else:
            options |= {"cluster_time_limit": str(_CRASH // MILLISECOND)}
        try:
            self._container: OutputContainer = av.open(str(path), "w", format=path.suffix[1:], options=options)
            self._container.metadata.update(tags)
            self._streams = {track: _declared(self._container, track, form) for track, form in forms.items()}
            self._container.start_encoding()
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error

    def write(self, track: str, frame: EncodedFrame, at: Nanos) -> None:
        """Append one frame at a file time, not before that of the one before it."""
        stream = self._streams[track]
        count = max(0, at * _RATES[stream.kind] // SECOND)
        held = stream.held
        if held is not None and count <= held[1]:
            count = held[1] + 1
        stream.held = (_lengths(stream, frame) if stream.head else frame.data, count, frame.key)
        if held is not None:
            self._mux(stream, held, count - held[1])

    def close(self) -> None:
        """Write what waits, and the index."""
        try:
            for stream in self._streams.values():
                if stream.held is not None:
                    self._mux(stream, stream.held, LENGTHS[stream.kind] * _RATES[stream.kind] // SECOND)
                    stream.held = None
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error

    def _mux(self, stream: _Stream, held: tuple[bytes, int, bool], duration: int) -> None:
        packet = av.Packet(held[0])
        packet.stream = stream.stream
        packet.time_base = stream.base
        packet.pts = packet.dts = held[1]
        packet.duration = duration
        packet.is_keyframe = held[2]
        try:
            self._container.mux_one(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> DestinationError:
        return DestinationError(f"{self.path} cannot be written: {getattr(error, 'strerror', None) or error}")


def _declared(container: OutputContainer, track: str, form: Form) -> _Stream:
    kind = form.kind
    base = Fraction(1, _RATES[kind])
    if form.codec is Codec.VP8:
        size = form.size
        if size is None:
            raise Fault("the size of a VP8 track is not known")
        stream: Any = container.add_mux_stream("vp8", width=size.width, height=size.height, time_base=base)
    else:
        head = form.head if kind == "video" else _OPUS_HEAD
        channels = 0 if kind == "video" else 2
        info = StreamInfo(
            track,
            "video" if kind == "video" else "audio",
            form.codec,
            base,
            head,
            0,
            size=form.size,
            rate=0 if kind == "video" else 48_000,
            channels=channels,
        )
        stream = MuxedStream(container, info).stream
    return _Stream(stream, kind, base, form.head)


def _lengths(stream: _Stream, frame: EncodedFrame) -> bytes:
    """H.264 as MP4 has it."""
    stream.inside = stream.inside or (frame.key and Form.of(frame).head != stream.head)
    if not (stream.inside and frame.key):
        return length_prefixed(frame.data)
    units = [unit for unit in nal_units(frame.data) if unit[0] & 31 != _DELIMITER]
    return b"".join(part for unit in units for part in (struct.pack(">I", len(unit)), unit))


def repair(path: Path, whole: Path) -> Nanos:
    """Make a file whose writer died an ordinary one: what can be read of it, with index and length, which is returned;
    0 when nothing can be read. `whole` is a path on the same disk for what is under way.

    Raises DestinationError when it cannot be written; then it stays as it is.
    """
    options = {"movflags": "faststart"} if path.suffix == MP4 else {}
    length: Nanos = 0
    try:
        with av.open(str(path)) as read, av.open(str(whole), "w", format=path.suffix[1:], options=options) as written:
            streams = {
                stream.index: written.add_stream_from_template(stream, opaque=True)
                for stream in (*read.streams.video, *read.streams.audio)
            }
            written.metadata.update(read.metadata)
            for packet in _whole(read):
                end = ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base
                length = max(length, int(end * SECOND))
                packet.stream = streams[packet.stream.index]
                written.mux(packet)
    except (av.error.InvalidDataError, av.error.EOFError):
        length = 0
    except (av.FFmpegError, OSError) as error:
        whole.unlink(missing_ok=True)
        message = f"{path} cannot be made whole: {getattr(error, 'strerror', None) or error}"
        raise DestinationError(message) from error
    if length:
        whole.replace(path)
    else:
        whole.unlink(missing_ok=True)
    return length


def _whole(read: InputContainer) -> Iterator[av.Packet[Any]]:
    """The packets of a file up to where it was cut short."""
    try:
        for packet in read.demux():
            if packet.is_corrupt:
                return
            if packet.pts is not None and packet.dts is not None:
                yield packet
    except av.error.InvalidDataError:
        return
