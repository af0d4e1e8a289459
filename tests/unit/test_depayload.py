from __future__ import annotations

import random

import pytest

from egress.rooms.depayload import OpusAssembler, Unit, Vp8Assembler, opus_samples
from egress.rooms.rtp import RtpPacket

KEY = b"\x10\x02\x00\x9d\x01\x2a" + b"\x40\x01\xf0\x00" + b"key"
DELTA = b"\x11\x02\x00delta"


def rtp(payload: bytes, timestamp: int, *, marker: bool = False, arrived: int = 0) -> RtpPacket:
    return RtpPacket(96, 0, timestamp, 1, payload, marker=marker, arrived=arrived)


def vp8(data: bytes, picture: int | None = None, tl0: int | None = None, tid: int = 0, start: bool = True) -> bytes:
    """A payload with a descriptor as RFC 7741 4.2 draws it."""
    first = 0x10 if start else 0
    if picture is None and tl0 is None:
        return bytes([first]) + data
    bits = (0x80 if picture is not None else 0) | (0x60 if tl0 is not None else 0)
    head = bytes([first | 0x80, bits])
    if picture is not None:
        head += bytes([0x80 | (picture >> 8), picture & 0xFF])
    if tl0 is not None:
        head += bytes([tl0, tid << 6])
    return head + data


class Vp8:
    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.assembler = Vp8Assembler(self.units.append)

    def push(self, payload: bytes, timestamp: int, *, marker: bool = True, arrived: int = 0) -> None:
        self.assembler.push(rtp(payload, timestamp, marker=marker, arrived=arrived))


@pytest.fixture
def bench() -> Vp8:
    return Vp8()


def test_a_frame_is_whole_at_its_marker(bench: Vp8) -> None:
    bench.push(vp8(KEY), 100, marker=False, arrived=5)
    bench.push(vp8(b"more", start=False), 100, arrived=9)
    assert bench.units == [Unit(KEY + b"more", 100, 9, True, False)]


def test_a_new_timestamp_ends_a_frame_whose_marker_is_missing(bench: Vp8) -> None:
    bench.push(vp8(KEY), 100, marker=False)
    bench.push(vp8(DELTA), 200, marker=False)
    bench.push(vp8(DELTA), 300)
    assert [(u.timestamp, u.key) for u in bench.units] == [(100, True), (200, False), (300, False)]


def test_joining_in_the_middle_of_a_frame_leaves_it_out(bench: Vp8) -> None:
    bench.push(vp8(b"rest", start=False), 100)
    bench.push(vp8(DELTA), 200)
    assert [u.timestamp for u in bench.units] == [200]
    assert bench.assembler.incomplete == 1 and bench.units[0].gap


def test_a_hole_in_a_frame_leaves_it_out_and_marks_the_next(bench: Vp8) -> None:
    bench.push(vp8(KEY), 100)
    bench.push(vp8(DELTA), 200, marker=False)
    bench.assembler.lose()
    bench.push(vp8(b"tail", start=False), 200)
    bench.push(vp8(DELTA), 300)
    bench.push(vp8(DELTA), 400)
    assert [(u.timestamp, u.gap) for u in bench.units] == [(100, False), (300, True), (400, False)]


def test_a_hole_over_the_end_of_one_frame_and_the_start_of_the_next_leaves_out_both(bench: Vp8) -> None:
    bench.push(vp8(KEY), 100, marker=False)
    bench.assembler.lose()
    bench.push(vp8(b"tail", start=False), 200)
    bench.push(vp8(DELTA), 300)
    assert [u.timestamp for u in bench.units] == [300]
    assert bench.assembler.incomplete == 2


def test_lost_padding_is_no_gap_where_picture_ids_go_on(bench: Vp8) -> None:
    bench.push(vp8(KEY, 0x7FFF), 100)
    bench.assembler.lose()
    bench.push(vp8(DELTA, 0), 200)
    assert not bench.units[1].gap


def test_a_missing_picture_id_is_a_gap_even_without_a_hole(bench: Vp8) -> None:
    bench.push(vp8(KEY, 10), 100)
    bench.push(vp8(DELTA, 12), 200)
    assert bench.units[1].gap


def test_a_lost_frame_that_nothing_refers_to_is_no_gap(bench: Vp8) -> None:
    bench.push(vp8(KEY, 10, tl0=5), 100)
    bench.assembler.lose()
    bench.push(vp8(DELTA, 12, tl0=6), 300)
    bench.assembler.lose()
    bench.push(vp8(DELTA, 15, tl0=8), 600)
    assert [u.gap for u in bench.units] == [False, False, True]


def test_a_last_packet_too_short_to_be_numbered_anew_is_no_gap(bench: Vp8) -> None:
    # Janus 1.1.2 gives the pictures of simulcast layers numbers of its own, but not packets of under six bytes.
    bench.push(vp8(KEY, 11, tl0=3), 100)
    bench.push(vp8(DELTA, 12, tl0=4), 200, marker=False)
    bench.push(vp8(b"x", 23662, start=False), 200)
    bench.push(vp8(DELTA, 13, tl0=5), 300)
    assert [(unit.gap, unit.data[-1:]) for unit in bench.units] == [(False, b"y"), (False, b"x"), (False, b"a")]


def test_padding_in_between_changes_nothing(bench: Vp8) -> None:
    bench.push(vp8(KEY), 100)
    bench.push(b"", 100)
    bench.push(b"", 150, marker=True)
    bench.push(vp8(DELTA), 200)
    assert [u.timestamp for u in bench.units] == [100, 200] and not bench.units[1].gap


def test_garbage_is_counted_and_outlived(bench: Vp8) -> None:
    rng = random.Random(3)
    for index in range(2000):
        bench.push(rng.randbytes(rng.randrange(1, 30)), index * 10, marker=bool(rng.getrandbits(1)))
    assert bench.assembler.malformed and not any(u.key for u in bench.units)
    bench.push(vp8(KEY), 10_000_000)
    assert bench.units[-1].key


def test_one_opus_packet_is_one_unit() -> None:
    units: list[Unit] = []
    assembler = OpusAssembler(units.append)
    assembler.push(rtp(b"\xfcabc", 960, arrived=3))
    assembler.push(rtp(b"", 1920))
    assembler.push(rtp(b"\xfc", 48000))
    assembler.lose()
    assembler.push(rtp(b"\xfcabc", 48960))
    assert [(u.timestamp, u.gap, u.key) for u in units] == [
        (960, False, True),
        (48000, False, True),
        (48960, True, True),
    ]


def test_opus_with_a_wrong_toc_is_counted_and_leaves_a_gap() -> None:
    units: list[Unit] = []
    assembler = OpusAssembler(units.append)
    for payload in (b"\xff", b"\xff\x3f", b"\xff\x00", b"\xfd\x01\x02\x03"[:3] + b"x", b"\xfe\xff"):
        assembler.push(rtp(payload, 0))
    assert not units and assembler.malformed == 5
    assembler.push(rtp(b"\xfcabc", 960))
    assert units[0].gap


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"\x00a", 480),
        (b"\x18a", 2880),
        (b"\x60a", 480),
        (b"\xf8a", 960),
        (b"\xe0a", 120),
        (b"\xf9ab", 1920),
        (b"\xfa\x01ab", 1920),
        (b"\xfb\x06abcdef", 5760),
        (b"\xfb\x07abcdef", 0),
        (b"\x19ab", 5760),
    ],
)
def test_opus_durations_follow_the_toc(payload: bytes, samples: int) -> None:
    assert opus_samples(payload) == samples
