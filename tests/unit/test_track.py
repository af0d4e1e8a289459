from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from egress.demo import clip, track
from egress.demo.people import person
from egress.demo.track import AudioTrack, TruthfulSender, VideoTrack, ntp
from egress.model.clock import monotonic
from egress.model.media import MILLISECOND, SECOND, Codec, Size

FPS = 20


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> clip.Clip:
    monkeypatch.setenv("EGRESS_CLIPS", str(tmp_path))
    return clip.video(person(0), Size(96, 64), FPS, Codec.VP8)


def _is_key(packet: Any) -> bool:
    return bytes(packet)[0] & 1 == 0


async def test_units_come_at_their_capture_instants_with_times_to_match() -> None:
    sound = AudioTrack(tuple(bytes([index % 250]) * 3 for index in range(500)))
    sound.send(True)
    first = await sound.recv()
    came = monotonic()
    rest = [await sound.recv() for _ in range(10)]
    assert [packet.pts for packet in (first, *rest)] == [960 * n for n in range(11)]
    # Each packet's content tells which 20 ms of the shared clock it is.
    number = came // (20 * MILLISECOND)
    assert bytes(first)[0] in {n % 500 % 250 for n in range(number - 5, number + 1)}


async def test_video_begins_with_a_keyframe_wherever_it_joins(loop: clip.Clip) -> None:
    video = VideoTrack(loop)
    middle = monotonic() // SECOND * SECOND + SECOND + 300 * MILLISECOND
    video.send(True, middle)
    packets = [await video.recv() for _ in range(3)]
    assert [_is_key(packet) for packet in packets] == [True, False, False]
    assert video.keys_made == 1
    assert bytes(packets[0]) != loop.frames[(middle * FPS // SECOND + 1) % len(loop.frames)]


async def test_requested_keyframe_comes_with_the_next_picture(loop: clip.Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track, "_KEY_SPACING", 0)
    video = VideoTrack(loop)
    video.send(True)
    await video.recv()
    await video.recv()
    video.key_wanted()
    assert _is_key(await video.recv())


async def test_nothing_captured_after_a_mute_is_sent_and_times_go_on_after_it() -> None:
    sound = AudioTrack((b"x",) * 500)
    sound.send(True)
    first = await sound.recv()
    mute = monotonic() + 100 * MILLISECOND
    sound.send(False, mute)
    sent = []
    try:
        while True:
            sent.append(await asyncio.wait_for(sound.recv(), 0.3))
    except TimeoutError:
        pass
    assert len(sent) <= 6
    assert not sound.sending
    sound.send(True)
    resumed = await sound.recv()
    assert resumed.pts - first.pts >= (len(sent) + 10) * 960
    assert (resumed.pts - first.pts) % 960 == 0


async def test_late_sound_is_left_out_instead_of_sent_in_a_burst() -> None:
    sound = AudioTrack((b"x",) * 500)
    sound.send(True)
    first = await sound.recv()
    await asyncio.sleep(0.4)
    after = await sound.recv()
    assert sound.skipped > 5
    assert after.pts - first.pts > 250 * 48


class _Sender:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def _send_rtcp(self, packets: list[Any]) -> None:
        self.sent += packets

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        self.sent.append(packet)


async def test_sender_reports_pair_now_with_the_capture_clock_however_late_packets_left() -> None:
    sender = _Sender()
    sound = AudioTrack((b"x",) * 500, lag=70 * MILLISECOND)
    truthful = TruthfulSender(sender, sound)  # type: ignore[arg-type]
    report = RtcpSrPacket(
        ssrc=1, sender_info=RtcpSenderInfo(ntp_timestamp=5, rtp_timestamp=0, packet_count=0, octet_count=0)
    )
    await truthful._send_rtcp([report])
    assert sender.sent == [], "nothing is reported before anything was sent"

    origin = 0xFFFFF000
    sound.send(True)
    packet = await sound.recv()
    captured = sound.instant(sound._next - 1)
    waiting = asyncio.create_task(sound.recv())
    await asyncio.sleep(0)
    report.sender_info.rtp_timestamp = (origin + packet.pts) & 0xFFFFFFFF
    await truthful._send_rtcp([report])
    told = sender.sent[0].sender_info
    since = ((told.rtp_timestamp - origin) & 0xFFFFFFFF) * SECOND // 48_000
    seconds = (told.ntp_timestamp - ntp(captured)) / (1 << 32)
    assert abs(seconds - since / SECOND) < 0.0002
    waiting.cancel()
