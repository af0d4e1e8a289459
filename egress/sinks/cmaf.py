"""CMAF bytes (ISO/IEC 23000-19): the init segment of one track, fragments of moof and mdat, and reading them back."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from egress.model.errors import Fault
from egress.model.media import Codec, StreamInfo
from egress.sinks.avc import Parameters, parameters

_SYNC = 0x02000000
_DEPENDS = 0x01010000
_MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_TRACK = 1


@dataclass(frozen=True, slots=True)
class Track:
    """How one stream of the programme stands in CMAF: `scale` ticks of `timescale` make one count of its time base."""

    info: StreamInfo
    timescale: int
    scale: int
    codec: str
    avc: Parameters | None

    @classmethod
    def of(cls, info: StreamInfo) -> Track:
        """Describe a stream; raises Fault when its codec header is unusable."""
        timescale = _timescale(info.time_base)
        scale = info.time_base * timescale
        if info.codec is Codec.H264:
            avc = parameters(info.extradata)
            return cls(info, timescale, int(scale), avc.codec, avc)
        if info.codec is Codec.AAC:
            return cls(info, timescale, int(scale), f"mp4a.40.{_object_type(info.extradata)}", None)
        if info.codec is Codec.OPUS:
            return cls(info, timescale, int(scale), "opus", None)
        raise Fault(f"{info.codec} cannot be carried in CMAF here")


@dataclass(frozen=True, slots=True)
class Sample:
    """One access unit as it stands in `mdat`; `duration` and `offset` (presentation minus decode) in ticks."""

    data: bytes
    duration: int
    offset: int
    key: bool


@dataclass(frozen=True, slots=True)
class Fragment:
    """A moof+mdat found in a file, `at` bytes from its start, after `lead` bytes of event messages that belong to it.

    `size` is all its bytes without those, `number` what it says itself; times in ticks, `first` is the first sample's
    bytes.
    """

    number: int
    lead: int
    at: int
    size: int
    decode_time: int
    duration: int
    first: int
    head: int
    key: bool

    @property
    def end(self) -> int:
        """Decode time just after the last sample."""
        return self.decode_time + self.duration


def init_segment(track: Track, *, priming: int = 0) -> bytes:
    """`ftyp` and `moov` of a track; `priming` is what an Opus decoder discards at the start (its pre-skip)."""
    info = track.info
    video = info.kind == "video"
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, track.timescale, 0, 0x55C4, 0)),
        _full(b"hdlr", 0, 0, bytes(4) + (b"vide" if video else b"soun") + bytes(12) + b"Egress\0"),
        _box(
            b"minf",
            _full(b"vmhd", 0, 1, bytes(8)) if video else _full(b"smhd", 0, 0, bytes(4)),
            _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1))),
            _box(
                b"stbl",
                _full(
                    b"stsd", 0, 0, struct.pack(">I", 1), _video_entry(track) if video else _audio_entry(info, priming)
                ),
                _full(b"stts", 0, 0, bytes(4)),
                _full(b"stsc", 0, 0, bytes(4)),
                _full(b"stsz", 0, 0, bytes(8)),
                _full(b"stco", 0, 0, bytes(4)),
            ),
        ),
    )
    width, height = (track.avc.width, track.avc.height) if track.avc else (0, 0)
    header = struct.pack(">IIIIIQHHHH", 0, 0, _TRACK, 0, 0, 0, 0, 0, 0 if video else 0x0100, 0)
    moov = _box(
        b"moov",
        _full(
            b"mvhd",
            0,
            0,
            struct.pack(">IIIIIHH8x", 0, 0, 1000, 0, 0x10000, 0x0100, 0) + _MATRIX + bytes(24) + b"\0\0\0\2",
        ),
        _box(b"trak", _full(b"tkhd", 0, 3, header + _MATRIX + struct.pack(">II", width << 16, height << 16)), media),
        _box(b"mvex", _full(b"trex", 0, 0, struct.pack(">5I", _TRACK, 1, 0, 0, 0))),
    )
    return _box(b"ftyp", b"iso6", bytes(4), b"iso6", b"cmfc", b"mp41") + moov


def fragment(sequence: int, decode_time: int, samples: Sequence[Sample]) -> bytes:
    """One moof and mdat; `sequence` numbers fragments, rising; `decode_time` is the first sample's, in ticks."""
    flags, entry = 0x000201, "I"
    durations = {sample.duration for sample in samples}
    offsets = any(sample.offset for sample in samples)
    keys = [sample.key for sample in samples]
    rest = keys[1] if len(keys) > 1 else keys[0]
    mixed = any(key is not rest for key in keys[1:])
    first_flags = b""
    if len(durations) > 1:
        flags, entry = flags | 0x100, "II"
    if mixed:
        flags, entry = flags | 0x400, entry + "I"
    elif keys[0] is not rest:
        flags, first_flags = flags | 0x004, struct.pack(">I", _flags(keys[0]))
    if offsets:
        flags, entry = flags | 0x800, entry + ("I" if min(s.offset for s in samples) >= 0 else "i")
    values: list[int] = []
    for sample in samples:
        if flags & 0x100:
            values.append(sample.duration)
        values.append(len(sample.data))
        if mixed:
            values.append(_flags(sample.key))
        if offsets:
            values.append(sample.offset)
    table = struct.pack(">" + entry * len(samples), *values)
    version = 1 if entry.endswith("i") else 0
    traf_head = struct.pack(">III", _TRACK, samples[0].duration, _flags(rest))
    run = 12 + 8 + len(first_flags) + len(table)
    moof = 8 + 16 + 8 + (12 + len(traf_head)) + 20 + run
    out = [
        struct.pack(">I4s", moof, b"moof"),
        _full(b"mfhd", 0, 0, struct.pack(">I", sequence)),
        struct.pack(">I4s", moof - 24, b"traf"),
        _full(b"tfhd", 0, 0x020028, traf_head),
        _full(b"tfdt", 1, 0, struct.pack(">Q", decode_time)),
        _full(b"trun", version, flags, struct.pack(">Ii", len(samples), moof + 8), first_flags, table),
        struct.pack(">I4s", 8 + sum(len(sample.data) for sample in samples), b"mdat"),
    ]
    out += [sample.data for sample in samples]
    return b"".join(out)


def read_fragments(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[Fragment]:
    """The whole fragments of a file, or of some bytes of it, made by `fragment`, in order; stops at the first one that
    is cut short."""
    length = file.seek(0, 2)
    end = length if end is None else min(end, length)
    at = lead = start
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"emsg" and size >= 8:
            at += size
            continue
        if kind != b"moof" or at + size + 8 > end:
            return
        moof = file.read(size - 8)
        payload, kind = struct.unpack(">I4s", file.read(8))
        if kind != b"mdat" or at + size + payload > end:
            return
        yield _parsed(at - lead, at, size, payload, moof)
        at = lead = at + size + payload


def _parsed(lead: int, at: int, head: int, payload: int, moof: bytes) -> Fragment:
    traf = moof[24:]
    default_duration, default_flags = struct.unpack_from(">II", traf, 16)
    (decode_time,) = struct.unpack_from(">Q", traf, 24 + 12)
    run = traf[24 + 20 :]
    flags = int.from_bytes(run[9:12], "big")
    (count,) = struct.unpack_from(">I", run, 12)
    place = 20
    first_flags = default_flags
    if flags & 0x004:
        (first_flags,) = struct.unpack_from(">I", run, place)
        place += 4
    width = sum(4 for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit)
    duration = count * default_duration
    if flags & 0x100:
        duration = sum(struct.unpack_from(">I", run, place + index * width)[0] for index in range(count))
    size_place = place + (4 if flags & 0x100 else 0)
    (first,) = struct.unpack_from(">I", run, size_place)
    if flags & 0x400:
        (first_flags,) = struct.unpack_from(">I", run, size_place + 4)
    (number,) = struct.unpack_from(">I", moof, 12)
    return Fragment(number, lead, at, head + payload, decode_time, duration, first, head + 8, first_flags == _SYNC)


def _timescale(time_base: Fraction) -> int:
    if (90_000 * time_base).denominator == 1 and time_base > Fraction(1, 1000):
        return 90_000
    rate = time_base.denominator
    return rate * -(-10_000 // rate)


def _object_type(config: bytes) -> int:
    if len(config) < 2:
        raise Fault("the audio encoder's header holds no AudioSpecificConfig")
    kind = config[0] >> 3
    return 32 + ((config[0] & 7) << 3 | config[1] >> 5) if kind == 31 else kind


def _flags(key: bool) -> int:
    return _SYNC if key else _DEPENDS


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _video_entry(track: Track) -> bytes:
    avc = track.avc
    if avc is None:
        raise Fault("a video track without parameter sets")
    entry = struct.pack(">6xH16xHHIII", 1, avc.width, avc.height, 0x480000, 0x480000, 0)
    entry += struct.pack(">H32sHh", 1, b"", 24, -1)
    boxes = _box(b"avcC", avc.config)
    if avc.colour:
        colour = avc.colour
        codes = struct.pack(">HHHB", colour.primaries, colour.transfer, colour.matrix, colour.full_range << 7)
        boxes += _box(b"colr", b"nclx", codes)
    return _box(b"avc1", entry, boxes, _box(b"pasp", struct.pack(">II", 1, 1)))


def _audio_entry(info: StreamInfo, priming: int) -> bytes:
    entry = struct.pack(">6xH8xHH4xI", 1, info.channels, 16, info.rate << 16)
    if info.codec is Codec.OPUS:
        head = struct.pack(">BBHIhB", 0, info.channels, priming, info.rate, 0, 0)
        return _box(b"Opus", entry, _box(b"dOps", head))
    decoder = struct.pack(">BBxHII", 0x40, 0x15, 0x1800, info.bitrate, info.bitrate) + _descriptor(5, info.extradata)
    stream = struct.pack(">HB", _TRACK, 0) + _descriptor(4, decoder) + _descriptor(6, b"\2")
    return _box(b"mp4a", entry, _full(b"esds", 0, 0, _descriptor(3, stream)))


def _descriptor(tag: int, body: bytes) -> bytes:
    return bytes((tag, 0x80, 0x80, 0x80, len(body))) + body
