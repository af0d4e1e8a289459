"""The passage of tracks: frames wait, are put into session time, and come out in the order in which they came in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest

from egress.media.timeline import PeerClock, TrackTimeline
from egress.model.clock import SessionClock
from egress.model.errors import EndOfTrack
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos
from egress.model.passing import Anchor, Passed, PassedItem, TrackFrame, TrackHushed, TrackLeft, TrackTaken
from egress.model.room import Peer, Track, TrackSource
from egress.passage import MARGIN, MOST_BYTES, Passage, Tapped
from tests.unit.feeding import FedSource, Sender

ADA = Peer("1", "Ada")
HOLD: Nanos = 400 * MILLISECOND
ORIGIN: Nanos = 7 * SECOND


@dataclass(frozen=True, slots=True)
class Held(SessionClock):
    """A clock that stands where it is told to."""

    times: list[Nanos]

    def now(self) -> Nanos:
        return self.times[-1]


class Way:
    """A passage, its clock, and what came out."""

    def __init__(self) -> None:
        self.clock = Held(ORIGIN, datetime(2026, 1, 1, tzinfo=UTC), [0])
        self.items: list[PassedItem] = []
        self.passage = Passage(self.clock, self._hand_on, hold=HOLD)
        self.sources: dict[str, FedSource] = {}
        self.timelines: dict[str, TrackTimeline] = {}

    def _hand_on(self, passed: Passed) -> None:
        self.items += passed.items

    def begin(self, track: str, kind: str = "video", *, muted: bool = False) -> None:
        source = TrackSource.CAMERA if kind == "video" else TrackSource.MIC
        self.sources[track] = FedSource()
        self.timelines[track] = PeerClock().track(kind, 90_000 if kind == "video" else 48_000)
        made = Track(track, ADA.id, "video" if kind == "video" else "audio", source, muted=muted)
        self.passage.begin(made, ADA, self.sources[track], self.timelines[track])

    def send(self, track: str, frame: EncodedFrame) -> None:
        self.timelines[track].observe(frame)
        self.passage.pass_on(track, frame)

    def beat(self, now: Nanos) -> None:
        """What the timer does at a session time."""
        self.clock.times.append(now)
        self.passage._beat()

    @property
    def frames(self) -> list[TrackFrame]:
        return [item for item in self.items if isinstance(item, TrackFrame)]


@pytest.fixture
async def way() -> Way:
    return Way()


SENDER = Sender(90_000, ORIGIN)


def frame(at: Nanos, sender: Sender = SENDER, size: int = 10) -> EncodedFrame:
    return sender.frame(at, Codec.VP8, bytes(size), True)


async def test_a_track_begins_with_who_it_is_and_a_request_for_a_keyframe(way: Way) -> None:
    way.begin("v", muted=True)
    taken, hushed = way.items
    assert isinstance(taken, TrackTaken) and (taken.track.id, taken.peer) == ("v", ADA)
    assert isinstance(hushed, TrackHushed) and hushed.muted
    assert way.sources["v"].asked == 1
    taken.refresh()
    await asyncio.sleep(0)
    assert way.sources["v"].asked == 2
    way.passage.close()


async def test_frames_are_handed_on_in_their_time_in_order_of_arrival(way: Way) -> None:
    way.begin("v")
    way.begin("w")
    for at in (0, 100 * MILLISECOND, 200 * MILLISECOND):
        way.send("v", frame(at))
        way.send("w", frame(at + 50 * MILLISECOND))
    # What came later than this is still held back.
    way.beat(HOLD + MARGIN + 130 * MILLISECOND)
    assert [(one.track, one.at // MILLISECOND) for one in way.frames] == [("v", 20), ("w", 70), ("v", 120)]
    way.passage.close()
    assert [(one.track, one.at // MILLISECOND) for one in way.frames[3:]] == [("w", 170), ("v", 220), ("w", 270)]
    assert [item.track for item in way.items if isinstance(item, TrackLeft)] == ["v", "w"]


async def test_frames_of_one_track_keep_their_order_whatever_came_late(way: Way) -> None:
    way.begin("v")
    way.begin("w")
    sent_again = frame(0, Sender(90_000, ORIGIN, delay=90 * MILLISECOND))
    way.send("v", sent_again)
    for at in (30, 60):
        way.send("v", frame(at * MILLISECOND))
        way.send("w", frame(at * MILLISECOND))
    way.passage.close()
    assert [one.frame.rtp for one in way.frames if one.track == "v"] == [SENDER.rtp + n * 2700 for n in range(3)]


async def test_what_was_captured_after_the_end_is_left_out(way: Way) -> None:
    way.begin("v")
    for at in range(10):
        way.send("v", frame(at * 100 * MILLISECOND))
    way.passage.close(500 * MILLISECOND)
    assert [one.at // MILLISECOND for one in way.frames] == [20, 120, 220, 320, 420]


async def test_frames_from_before_a_break_keep_the_time_of_their_line(way: Way) -> None:
    way.begin("v")
    way.send("v", frame(0))
    way.send("v", frame(SECOND, Sender(90_000, ORIGIN, rtp=77, stream=2)))
    way.passage.close()
    first, second = way.frames
    assert (first.at // MILLISECOND, second.at // MILLISECOND) == (20, 1020)
    assert first.epoch != second.epoch


async def test_a_frame_that_claims_an_impossible_time_stands_where_it_came(way: Way) -> None:
    way.begin("v")
    way.send("v", frame(0))
    odd = EncodedFrame(Codec.VP8, b"x", SENDER.rtp + 3600 * 90_000, ORIGIN + SECOND, False, stream=1)
    way.send("v", odd)
    way.passage.close()
    assert way.frames[-1].at == SECOND


async def test_anchors_say_where_a_count_stands_once_a_second(way: Way) -> None:
    way.begin("v")
    for n in range(30):
        way.send("v", frame(n * 100 * MILLISECOND))
        way.beat(n * 100 * MILLISECOND + HOLD + MARGIN + 30 * MILLISECOND)
    way.passage.close()
    anchors = [item for item in way.items if isinstance(item, Anchor)]
    assert [round(one.best / SECOND, 2) for one in anchors] == [0.02, 1.02, 2.02]
    assert all(one.reports > 0 and abs(one.at - one.best) < MILLISECOND for one in anchors)


async def test_too_many_bytes_do_not_wait(way: Way) -> None:
    way.begin("v")
    way.send("v", frame(0, size=MOST_BYTES))
    assert not way.frames
    way.send("v", frame(10 * MILLISECOND))
    assert way.passage.stats() == {"passed": 2, "waiting_to_pass": 0}
    assert len(way.frames) == 2
    way.passage.close()


async def test_a_track_that_left_gives_all_it_had_and_nothing_more(way: Way) -> None:
    way.begin("v")
    way.send("v", frame(0))
    way.passage.end("v")
    way.passage.pass_on("v", frame(SECOND))
    way.passage.mute("v", True)
    way.passage.end("v")
    assert [type(item) for item in way.items[1:]] == [TrackFrame, TrackLeft]
    way.passage.close()


async def test_it_beats_by_itself_until_it_is_closed(way: Way) -> None:
    way.begin("v")
    way.send("v", frame(0))
    way.clock.times.append(HOLD + MARGIN + SECOND)
    async with asyncio.timeout(60):
        while not way.frames:
            await asyncio.sleep(0.01)
    way.passage.close()


async def test_a_tapped_source_passes_a_frame_on_once_it_was_observed() -> None:
    source, tapped = FedSource([frame(0), frame(SECOND)], ends=True), []
    tap = Tapped(source, partial(tapped.append))
    first = await tap.recv()
    assert tapped == []
    second = await tap.recv()
    assert tapped == [first]
    with pytest.raises(EndOfTrack):
        await tap.recv()
    assert tapped == [first, second]
    tap.request_keyframe()
    assert source.asked == 1 and tap.stats() == {}


async def test_a_tapped_source_that_is_handed_on_passes_each_frame_on_after_its_taker_had_it() -> None:
    source, order = FedSource([frame(0), frame(SECOND)], ends=True), []
    tap = Tapped(source, lambda one: order.append(("passed", one.rtp)))
    with pytest.raises(EndOfTrack):
        await tap.deliver(lambda one: order.append(("taken", one.rtp)))
    times = [one.rtp for one in (frame(0), frame(SECOND))]
    assert order == [(what, rtp) for rtp in times for what in ("taken", "passed")]
