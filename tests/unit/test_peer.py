from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from egress.model.errors import EndOfTrack, RequestError
from egress.model.media import Codec
from egress.rooms import negotiation, rtcp
from egress.rooms.peer import PeerConnection
from egress.rooms.receiver import ReceivedTrack
from tests.unit.test_depayload import KEY, vp8
from tests.unit.test_sdp import AUDIO, AV1, GOOD, VP8, offer


class Bench:
    def __init__(self, **options: Any) -> None:
        self.tracks: list[ReceivedTrack] = []
        self.states: list[str] = []
        self.peer = PeerConnection(on_track=self.tracks.append, on_state=self.states.append, **options)

    def rtp(self, ssrc: int, payload_type: int = 96, extensions: bytes = b"", payload: bytes = vp8(KEY)) -> None:
        head = struct.pack("!BBHLL", 0x90 if extensions else 0x80, 0x80 | payload_type, 1, 0, ssrc)
        if extensions:
            extensions += b"\0" * (-len(extensions) % 4)
            head += struct.pack("!HH", 0xBEDE, len(extensions) // 4) + extensions
        self.peer._rtp(head + payload, 1)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.peer.close()


async def test_tracks_are_announced_with_the_answer(bench: Bench) -> None:
    answer = await bench.peer.answer(GOOD)
    assert [(t.mid, t.kind, t.codec) for t in bench.tracks] == [("a", "audio", Codec.OPUS), ("v", "video", Codec.VP8)]
    assert "a=candidate:" in answer and answer.startswith("v=0\r\n") and bench.peer.warnings == ()


async def test_an_unsupported_section_is_a_warning_and_the_others_go_on(bench: Bench) -> None:
    await bench.peer.answer(offer(AUDIO, AV1, VP8))
    assert [t.mid for t in bench.tracks] == ["a", "v"]
    assert len(bench.peer.warnings) == 1 and "AV1" in bench.peer.warnings[0]


async def test_a_bad_offer_changes_nothing_and_a_good_one_may_follow(bench: Bench) -> None:
    for text in ("", GOOD[:200], offer(AV1)):
        with pytest.raises(RequestError):
            await bench.peer.answer(text)
    assert bench.tracks == [] and bench.peer.state == "new"
    await bench.peer.answer(GOOD)
    assert len(bench.tracks) == 2


async def test_media_is_routed_by_ssrc_then_mid_then_payload_type(bench: Bench) -> None:
    second = [*VP8[:6], "a=mid:w", *VP8[7:16], "a=extmap:4 " + negotiation.MID]
    await bench.peer.answer(offer(VP8, second))
    first, other = bench.tracks
    bench.rtp(11)
    bench.rtp(50, extensions=b"\x40w")
    bench.rtp(51)
    assert (first.stats()["packets"], other.stats()["packets"]) == (1, 1)
    assert bench.peer.stats()["unrouted"] == 1
    alone = Bench()
    await alone.peer.answer(offer([line for line in VP8 if "ssrc" not in line]))
    alone.rtp(99)
    assert alone.tracks[0].stats()["packets"] == 1
    await alone.peer.close()


async def test_a_section_used_anew_is_a_new_track_and_one_switched_off_has_ended(bench: Bench) -> None:
    await bench.peer.answer(offer(AUDIO, [*VP8, "a=msid:s one"]))
    await bench.peer.answer(offer(AUDIO, [*VP8, "a=msid:s one"]))
    assert len(bench.tracks) == 2
    changed = [line.replace("ssrc:11", "ssrc:31").replace("FID 11", "FID 31") for line in VP8]
    await bench.peer.answer(offer(AUDIO, [*changed, "a=msid:s two"]))
    before, after = bench.tracks[1], bench.tracks[2]
    assert before.ended and not after.ended and after.msid == "s two"
    bench.rtp(31)
    assert after.stats()["packets"] == 1
    await bench.peer.answer(offer(AUDIO, [line.replace("sendonly", "inactive") for line in changed]))
    assert after.ended and not bench.tracks[0].ended
    with pytest.raises(EndOfTrack):
        while True:
            await after.recv()


async def test_a_new_ssrc_on_the_same_track_is_the_same_track(bench: Bench) -> None:
    await bench.peer.answer(offer([*VP8, "a=msid:s one"]))
    bench.rtp(11)
    changed = [line.replace("ssrc:11", "ssrc:31").replace("FID 11", "FID 31") for line in VP8]
    await bench.peer.answer(offer([*changed, "a=msid:s one"]))
    bench.rtp(31)
    (track,) = bench.tracks
    first, second = await track.recv(), await track.recv()
    assert first.stream != second.stream and track.ssrc == 31


async def test_an_ice_restart_is_refused_clearly(bench: Bench) -> None:
    await bench.peer.answer(GOOD)
    with pytest.raises(RequestError, match="restarts ICE"):
        await bench.peer.answer(GOOD.replace("ufrag:abcd", "ufrag:efgh"))


async def test_sixty_tracks_in_one_offer_are_taken(bench: Bench) -> None:
    many = offer(*([*AUDIO[:6], f"a=mid:{i}", *AUDIO[7:], f"a=ssrc:{1000 + i} cname:x"] for i in range(60)))
    await bench.peer.answer(many)
    for index in range(60):
        bench.rtp(1000 + index, 111, payload=b"\xfcabc")
    assert [t.stats()["packets"] for t in bench.tracks] == [1] * 60


async def test_packets_that_wait_in_the_socket_while_the_loop_stands_still_are_not_lost() -> None:
    bench = Bench(hold=50_000_000)
    await bench.peer.answer(GOOD)
    candidates = bench.peer._transport._connection.local_candidates
    here = next((c.host, c.port) for c in candidates if ":" not in c.host)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bench.peer._transport._media = lambda data, at: bench.peer._rtp(data, at)  # type: ignore[method-assign]
    head = struct.Struct("!BBHLL")
    for sequence in (1, 3):
        stranger.sendto(head.pack(0x80, 0xE0, sequence, sequence, 11) + vp8(KEY), here)
    async with asyncio.timeout(60):
        while not bench.tracks[1].restless:
            await asyncio.sleep(0)
    for _ in range(40):
        stranger.sendto(b"\xff", here)
    stranger.sendto(head.pack(0x80, 0xE0, 2, 2, 11) + vp8(KEY), here)
    time.sleep(0.2)  # noqa: ASYNC251
    async with asyncio.timeout(60):
        while bench.tracks[1].restless:
            await asyncio.sleep(0.01)
    stats = bench.tracks[1].stats()
    assert (stats["lost"], stats["frames"]) == (0, 3)
    stranger.close()
    await bench.peer.close()


async def test_garbage_is_counted_and_harms_nothing(bench: Bench) -> None:
    await bench.peer.answer(GOOD)
    for data in (b"", b"\x80", b"\x80" * 11, b"\x90" + b"\xff" * 12):
        bench.peer._rtp(data, 0)
    bench.peer._rtcp(b"\x80\xc8", 0)
    bench.peer._rtcp(rtcp.pli(1, 2), 0)
    stats = bench.peer.stats()
    assert (stats["malformed"], stats["rtcp_malformed"]) == (4, 1)
    bench.rtp(11)
    assert bench.tracks[1].stats()["packets"] == 1


async def test_a_callback_that_fails_does_not_fail_the_answer() -> None:
    def fail(_: object) -> None:
        raise ValueError

    peer = PeerConnection(on_track=fail, on_state=fail)
    assert "m=audio" in await peer.answer(GOOD)
    await peer.close()


async def test_a_peer_that_never_comes_fails_in_time_and_ends_its_tracks() -> None:
    bench = Bench(connect_timeout=0.2)
    await bench.peer.answer(GOOD)
    async with asyncio.timeout(60):
        with pytest.raises(EndOfTrack):
            await bench.tracks[0].recv()
    assert bench.states[-1] == "failed"
    with pytest.raises(RequestError, match="over"):
        await bench.peer.answer(GOOD)
    await bench.peer.close()


async def test_closing_is_safe_at_any_time_and_twice() -> None:
    fresh = Bench()
    await fresh.peer.close()
    await fresh.peer.close()
    begun = Bench()
    await begun.peer.answer(GOOD)
    await begun.peer.close()
    await begun.peer.close()
    assert begun.states[-1] == "closed" and all(t.ended for t in begun.tracks)
    with pytest.raises(RequestError):
        await begun.peer.answer(GOOD)


async def test_closing_while_an_offer_is_being_answered_leaves_nothing_running() -> None:
    made = Bench()
    gather = made.peer._transport.gather
    begun = asyncio.Event()

    async def slowly(remote: Any) -> list[str]:
        begun.set()
        await asyncio.sleep(0.05)
        return await gather(remote)

    made.peer._transport.gather = slowly  # type: ignore[method-assign]
    answering = asyncio.create_task(made.peer.answer(GOOD))
    await begun.wait()
    await made.peer.close()
    with pytest.raises(RequestError, match="over"):
        await answering
    assert made.tracks == [] and made.peer._timer is None and made.peer._connecting is None
    assert made.states == ["closed"]


async def test_a_payload_type_that_a_later_offer_brings_is_understood_by_a_running_stream(bench: Bench) -> None:
    await bench.peer.answer(offer([*VP8, "a=msid:s one"]))
    bench.rtp(11)
    (track,) = bench.tracks
    changed = [line.replace("96", "100") for line in VP8]
    await bench.peer.answer(offer([*changed, "a=msid:s one"]))
    head = struct.pack("!BBHLL", 0x80, 0x80 | 100, 2, 3000, 11)
    bench.peer._rtp(head + vp8(KEY), 1)
    stats = track.stats()
    assert (stats["errors"], stats["frames"], stats["packets"]) == (0, 2, 2)
    assert track.codec is Codec.VP8


@pytest.mark.parametrize("reduced", [True, False])
async def test_feedback_comes_alone_only_where_that_was_agreed(bench: Bench, reduced: bool) -> None:
    plain = GOOD.replace("a=rtcp-rsize", "a=x-nothing")
    await bench.peer.answer(plain.replace("a=rtcp-mux", "a=rtcp-mux\r\na=rtcp-rsize") if reduced else plain)
    sent: list[bytes] = []
    bench.peer._transport.send_rtcp = sent.append  # type: ignore[method-assign]
    bench.rtp(bench.tracks[1]._declared[0])
    ssrc = bench.tracks[1].ssrc
    assert ssrc is not None
    bench.peer.pli(ssrc)
    bench.peer.nack(ssrc, [7])
    kinds = [data[1] for data in sent]
    assert kinds == ([rtcp.PSFB, rtcp.RTPFB] if reduced else [rtcp.RR, rtcp.RR])
    if not reduced:
        # The first block names the stream that the feedback behind it is about.
        assert all(struct.unpack_from("!L", data, 8)[0] == ssrc for data in sent)
        assert sent[0].endswith(rtcp.pli(bench.peer._ssrc, ssrc))


async def test_peers_of_one_loop_tick_together_so_that_it_wakes_once_for_all() -> None:
    benches = [Bench(), Bench()]
    for one in benches:
        await one.peer.answer(GOOD)
        await asyncio.sleep(0.03)
    due = [one.peer._timer.when() for one in benches if one.peer._timer is not None]
    assert len(due) == 2 and all(abs(at / 0.1 - round(at / 0.1)) < 0.02 for at in due)
    for one in benches:
        await one.peer.close()
