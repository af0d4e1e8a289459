from __future__ import annotations

import base64
import random
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from egress.rooms.depayload import Unit
from egress.rooms.h264 import H264Assembler
from egress.rooms.rtp import RtpPacket

START = b"\0\0\0\1"


def encode(profile: str, frames: int = 12, **options: str) -> list[bytes]:
    """Real access units (Annex B) of a real encoder."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 160, 96, "yuv420p"
    context.time_base, context.framerate, context.gop_size = Fraction(1, 30), Fraction(30), 6
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": profile, **options}
    rng = np.random.default_rng(2)
    units: list[bytes] = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (144, 160), dtype=np.uint8), format="yuv420p")
        frame.pts = index
        units += [bytes(p) for p in context.encode(frame)]
    return units + [bytes(p) for p in context.encode(None)]


def nals(unit: bytes) -> list[bytes]:
    found = [part.rstrip(b"\0") if part.endswith(b"\0") else part for part in unit.split(b"\0\0\1")]
    return [part for part in found if part]


def fragment(nal: bytes, size: int) -> list[bytes]:
    body = nal[1:]
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    last = len(pieces) - 1
    return [
        bytes([(nal[0] & 0xE0) | 28, (nal[0] & 0x1F) | (0x80 if i == 0 else 0) | (0x40 if i == last else 0)]) + piece
        for i, piece in enumerate(pieces)
    ]


def aggregate(parts: list[bytes]) -> bytes:
    return b"\x78" + b"".join(struct.pack("!H", len(part)) + part for part in parts)


class Bench:
    def __init__(self, sprop: str = "") -> None:
        self.units: list[Unit] = []
        self.assembler = H264Assembler(self.units.append, sprop)

    def push(self, payloads: list[bytes], timestamp: int, *, marker: bool = True) -> None:
        for index, payload in enumerate(payloads):
            last = marker and index == len(payloads) - 1
            self.assembler.push(RtpPacket(96, 0, timestamp, 1, payload, marker=last))


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
@pytest.mark.parametrize("mode", [0, 1])
def test_every_profile_survives_either_packetization_and_decodes(profile: str, mode: int) -> None:
    bench = Bench()
    sent = encode(profile)
    for index, unit in enumerate(sent):
        parts = nals(unit)
        if mode == 1:
            small, large = [p for p in parts if len(p) < 200], [p for p in parts if len(p) >= 200]
            packets = ([aggregate(small)] if small else []) + [f for nal in large for f in fragment(nal, 300)]
        else:
            packets = parts
        bench.push(packets, index * 3000)
    assert [nals(u.data) for u in bench.units] == [nals(u) for u in sent]
    assert [i for i, u in enumerate(bench.units) if u.key] == [0, 6]
    assert not any(u.gap for u in bench.units) and bench.assembler.malformed == 0
    decoder: Any = av.CodecContext.create("h264", "r")
    pictures = [f for u in bench.units for f in decoder.decode(av.Packet(u.data))] + decoder.decode(None)
    assert len(pictures) == len(sent)


def test_a_lost_fragment_leaves_out_its_picture_only() -> None:
    bench = Bench()
    for index, unit in enumerate(encode("baseline", 4)):
        packets = [f for nal in nals(unit) for f in (fragment(nal, 300) if len(nal) > 300 else [nal])]
        if index == 1:
            bench.push(packets[:2], 3000, marker=False)
            bench.assembler.lose()
            packets = packets[3:]
        bench.push(packets, index * 3000)
    assert [(u.timestamp, u.gap) for u in bench.units] == [(0, False), (6000, True), (9000, False)]
    assert bench.assembler.incomplete == 1


def test_after_a_hole_a_picture_begins_at_its_first_slice() -> None:
    bench = Bench()
    sent = encode("baseline", 3, slices="3")
    first, second, third = (nals(unit) for unit in sent)
    bench.push(first, 0)
    bench.assembler.lose()
    bench.push(second[1:], 3000)
    bench.assembler.lose()
    bench.push(third, 6000)
    assert [(u.timestamp, u.gap) for u in bench.units] == [(0, False), (6000, True)]


def test_keyframes_without_parameter_sets_get_those_seen_before() -> None:
    bench = Bench()
    sent = encode("high")
    heads = [nal for nal in nals(sent[0]) if nal[0] & 0x1F in (7, 8)]
    for index, unit in enumerate(sent):
        parts = [nal for nal in nals(unit) if index == 0 or nal[0] & 0x1F not in (7, 8)]
        bench.push(parts, index * 3000)
    assert nals(bench.units[6].data)[:2] == heads and bench.units[6].key


def test_keyframes_get_the_parameter_sets_of_the_sdp() -> None:
    sent = encode("main", 1)
    heads = [nal for nal in nals(sent[0]) if nal[0] & 0x1F in (7, 8)]
    bench = Bench(",".join(base64.b64encode(nal).decode() for nal in heads) + ",%%%")
    bench.push([nal for nal in nals(sent[0]) if nal[0] & 0x1F == 5], 0)
    assert nals(bench.units[0].data)[:2] == heads
    assert bench.assembler.malformed == 1


def test_parameter_sets_sent_on_their_own_are_kept_but_are_no_picture() -> None:
    bench = Bench()
    parts = nals(encode("baseline", 1)[0])
    heads = [nal for nal in parts if nal[0] & 0x1F in (7, 8)]
    bench.push(heads, 0)
    bench.push([nal for nal in parts if nal[0] & 0x1F == 5], 3000)
    assert len(bench.units) == 1 and nals(bench.units[0].data)[:2] == heads


def test_an_intra_picture_with_parameter_sets_is_a_key_without_being_idr() -> None:
    bench = Bench()
    parts = nals(encode("baseline", 1)[0])
    heads = [nal for nal in parts if nal[0] & 0x1F in (7, 8)]
    intra = bytes([0x41]) + next(nal for nal in parts if nal[0] & 0x1F == 5)[1:]
    bench.push([*heads, intra], 0)
    bench.push([intra], 3000)
    assert [u.key for u in bench.units] == [True, False]


@pytest.mark.parametrize(
    "payload",
    [
        b"\xe5abc",
        b"\x78",
        b"\x78\0\0",
        b"\x78\0\x09abc",
        b"\x7c",
        b"\x7c\x45",
        b"\x7c\x05abc",
        b"\x1d\x85abc",
        b"\x00abc",
        b"\x67",
    ],
)
def test_broken_nal_units_are_counted_and_outlived(payload: bytes) -> None:
    bench = Bench()
    sent = encode("baseline", 1)[0]
    bench.push(nals(sent), 0)
    bench.push([payload], 3000)
    bench.push(nals(sent), 6000)
    assert bench.assembler.malformed == 1
    assert [(u.timestamp, u.gap) for u in bench.units] == [(0, False), (6000, True)]


def test_garbage_never_raises() -> None:
    bench = Bench()
    rng = random.Random(5)
    for index in range(3000):
        if rng.random() < 0.1:
            bench.assembler.lose()
        bench.push([rng.randbytes(rng.randrange(1, 40))], index * 3000, marker=bool(rng.getrandbits(1)))
    bench.push(nals(encode("baseline", 1)[0]), 1 << 30)
    assert bench.units[-1].key
