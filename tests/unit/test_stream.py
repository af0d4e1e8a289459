from __future__ import annotations

from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame
from egress.rooms.rtcp import SenderInfo
from egress.rooms.rtp import RtpPacket
from egress.rooms.sdp import Format
from egress.rooms.stream import RtpStream
from tests.unit.test_depayload import DELTA, KEY, vp8

FORMATS = {
    96: Format(96, "VP8", 90000),
    102: Format(102, "H264", 90000),
    111: Format(111, "opus", 48000, 2),
}
NTP_2020 = (3_786_825_600 << 32) | (1 << 31)


class Bench:
    def __init__(self, *, rate: int = 90000, orientation: int = 0) -> None:
        self.frames: list[EncodedFrame] = []
        self.holes = 0
        self.stream = RtpStream(
            7,
            FORMATS,
            self.frames.append,
            self.hole,
            clock_rate=rate,
            hold=300 * MILLISECOND,
            orientation=orientation,
        )

    def hole(self) -> None:
        self.holes += 1

    def video(self, index: int, *, base: int = 0xFFFFFFF0, sequence: int = 65530, at: int | None = None) -> None:
        payload = vp8(KEY if index % 10 == 0 else DELTA)
        arrived = index * SECOND // 30 if at is None else at
        number, timestamp = (sequence + index) & 0xFFFF, (base + index * 3000) & 0xFFFFFFFF
        self.stream.add(RtpPacket(96, number, timestamp, 7, payload, marker=True, arrived=arrived))


def test_times_go_on_past_the_wrap_of_sequence_and_timestamp() -> None:
    bench = Bench()
    for index in range(20):
        bench.video(index)
    assert [f.rtp for f in bench.frames] == [0xFFFFFFF0 + 3000 * i for i in range(20)]
    assert len({f.stream for f in bench.frames}) == 1 and not any(f.gap for f in bench.frames)


def test_a_sender_report_is_put_on_the_count_of_the_frames() -> None:
    bench = Bench()
    bench.stream.report(SenderInfo(7, NTP_2020, 0xFFFFFFF0), 5)
    bench.video(0)
    bench.stream.report(SenderInfo(7, 0, 0), 6)
    bench.video(1)
    bench.stream.report(SenderInfo(7, NTP_2020 + (1 << 32), 90000 - 16), 7)
    bench.video(2)
    first, second, third = (f.report for f in bench.frames)
    assert first is not None and (first.rtp, first.arrived) == (0xFFFFFFF0, 5)
    assert first.ntp == 1_577_836_800 * SECOND + SECOND // 2
    assert second is first
    assert third is not None and third.rtp == 0xFFFFFFF0 + 90000 and third.ntp == first.ntp + SECOND


def test_a_pause_in_opus_without_a_sequence_gap_is_no_loss() -> None:
    bench = Bench(rate=48000)
    for index, timestamp in enumerate((0, 960, 48000, 48960)):
        bench.stream.add(RtpPacket(111, index, timestamp, 7, b"\xfcabc", arrived=timestamp * SECOND // 48000))
    assert [f.rtp for f in bench.frames] == [0, 960, 48000, 48960]
    assert not any(f.gap for f in bench.frames) and bench.holes == 0


def test_a_sender_that_begins_anew_under_its_ssrc_is_a_new_stream() -> None:
    bench = Bench()
    for index in range(5):
        bench.video(index)
    for index in range(5):
        bench.video(index, base=5_000_000, sequence=30_000, at=SECOND + index * SECOND // 30)
    assert len({f.stream for f in bench.frames}) == 2
    assert bench.frames[-1].rtp == 5_000_000 + 4 * 3000
    assert bench.stream.stats()["restarts"] == 1
    assert bench.stream.stats()["packets"] == 9


def test_one_stray_sequence_number_is_dropped_without_a_restart() -> None:
    bench = Bench()
    for index in range(3):
        bench.video(index)
    bench.stream.add(RtpPacket(96, 20_000, 9, 7, b"\xff", arrived=SECOND // 9))
    for index in range(3, 6):
        bench.video(index)
    assert len(bench.frames) == 6 and len({f.stream for f in bench.frames}) == 1


def test_a_long_outage_is_the_same_stream() -> None:
    bench = Bench()
    bench.video(0)
    for index in range(3000, 3012):
        bench.video(index)
    assert len({f.stream for f in bench.frames}) == 1
    assert bench.frames[-1].rtp == 0xFFFFFFF0 + 3011 * 3000 and bench.holes == 1


def test_a_change_of_codec_is_a_new_stream() -> None:
    bench = Bench()
    bench.video(0)
    idr = b"\x65\x88\x84\x00\x10"
    for index, nal in enumerate((b"\x67\x42\xc0\x1e\xff", b"\x68\xce\x3c\x80", idr)):
        bench.stream.add(RtpPacket(102, (65531 + index) & 0xFFFF, 3000, 7, nal, marker=nal is idr, arrived=1))
    assert [f.codec for f in bench.frames] == [Codec.VP8, Codec.H264]
    assert bench.frames[0].stream != bench.frames[1].stream and bench.stream.codec is Codec.H264


def test_the_orientation_last_sent_holds() -> None:
    bench = Bench(orientation=3)
    for index, turn in enumerate((None, 1, None, 2)):
        block = b"" if turn is None else bytes([0x30, turn, 0, 0])
        packet = RtpPacket(
            96, index, index * 3000, 7, vp8(KEY), marker=True, profile=0xBEDE if block else 0, block=block
        )
        bench.stream.add(packet)
    assert [f.rotation for f in bench.frames] == [0, 90, 90, 180]
