"""Simulated senders, networks and reports: hours of them in a second."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from egress.media.timeline import PeerClock, TrackTimeline
from egress.model.errors import Fault
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos, SenderReport

ORIGIN = 77_000 * SECOND
WALL = 1_790_000_000 * SECOND


@dataclass
class Simulated:
    """One track on its way to us. `latency` is from capture to us at least; `jitter` comes on top, uniformly."""

    rate: int = 48_000
    step: Nanos = 20 * MILLISECOND
    latency: Nanos = 30 * MILLISECOND
    jitter: Nanos = 0
    skew: float = 0.0
    report_every: Nanos | None = SECOND
    report_noise: Nanos = 0
    wall: Nanos = WALL
    stepped: tuple[Nanos, Nanos] = (1 << 62, 0)
    rtp: int = 3_000_000_000
    stream: int = 1
    seed: int = 1

    def rtp_of(self, at: Nanos) -> int:
        return self.rtp + round(at * (1 + self.skew) * self.rate / SECOND)

    def frames(self, begin: Nanos, end: Nanos) -> Iterator[tuple[Nanos, EncodedFrame]]:
        """(true time of capture, frame) from begin to end."""
        chance = random.Random(self.seed + begin)
        newest: SenderReport | None = None
        due = begin
        codec = Codec.OPUS if self.rate == 48_000 else Codec.VP8
        for at in range(begin, end, self.step):
            arrived = ORIGIN + at + self.latency + round(chance.random() * self.jitter)
            if self.report_every is not None and at >= due:
                due += self.report_every
                ntp = self.wall + round(at * (1 + self.skew)) + round(chance.gauss(0, 1) * self.report_noise)
                if at >= self.stepped[0]:
                    ntp += self.stepped[1]
                newest = SenderReport(self.rtp_of(at), ntp, arrived)
            yield at, EncodedFrame(codec, b"", self.rtp_of(at), arrived, True, report=newest, stream=self.stream)


def run(timeline: TrackTimeline, sender: Simulated, begin: Nanos, end: Nanos) -> list[tuple[Nanos, Nanos]]:
    """(true time, how much later than that the timeline puts it) after each frame."""
    errors = []
    for at, frame in sender.frames(begin, end):
        timeline.observe(frame)
        errors.append((at, timeline.at(frame.rtp) - ORIGIN - at))
    return errors


def together(clock: PeerClock, senders: list[Simulated], end: Nanos) -> list[list[tuple[Nanos, Nanos]]]:
    """The same for tracks of one peer, in order of arrival."""
    timelines = [clock.track("audio" if s.rate == 48_000 else "video", s.rate) for s in senders]
    arriving = sorted(
        ((frame.arrived, index, at, frame) for index, s in enumerate(senders) for at, frame in s.frames(0, end)),
        key=lambda item: item[0],
    )
    errors: list[list[tuple[Nanos, Nanos]]] = [[] for _ in senders]
    for _, index, at, frame in arriving:
        timelines[index].observe(frame)
        errors[index].append((at, timelines[index].at(frame.rtp) - ORIGIN - at))
    return errors


def test_asking_before_the_first_frame_is_a_fault() -> None:
    with pytest.raises(Fault, match="before its first frame"):
        PeerClock().track("audio", 48_000).at(0)


@pytest.mark.parametrize("reports", [SECOND, None])
def test_a_clean_network_gives_capture_time_plus_latency(reports: Nanos | None) -> None:
    errors = run(PeerClock().track("audio", 48_000), Simulated(report_every=reports), 0, 10 * SECOND)
    assert all(abs(error - 30 * MILLISECOND) < MILLISECOND for _, error in errors)


@pytest.mark.parametrize("seed", range(5))
def test_jitter_does_not_reach_media_time(seed: int) -> None:
    sender = Simulated(jitter=50 * MILLISECOND, report_noise=3 * MILLISECOND, seed=seed)
    errors = run(PeerClock().track("audio", 48_000), sender, 0, 40 * SECOND)
    settled = [error for at, error in errors if at > 5 * SECOND]
    assert max(settled) - min(settled) < 6 * MILLISECOND
    assert abs(max(settled) - 30 * MILLISECOND) < 8 * MILLISECOND


@pytest.mark.parametrize("skew", [100e-6, -100e-6])
@pytest.mark.parametrize("reports", [5 * SECOND, None])
def test_four_hours_of_a_skewed_sender_do_not_drift(skew: float, reports: Nanos | None) -> None:
    sender = Simulated(
        step=500 * MILLISECOND, skew=skew, report_every=reports, jitter=20 * MILLISECOND, report_noise=MILLISECOND
    )
    timeline = PeerClock().track("audio", 48_000)
    hour = 3600 * SECOND
    errors = run(timeline, sender, 0, 4 * hour)
    start = [error for at, error in errors if 30 * SECOND < at < 330 * SECOND]
    end = [error for at, error in errors if at > 4 * hour - 300 * SECOND]
    drift = sum(end) / len(end) - sum(start) / len(start)
    assert abs(drift) < 4 * MILLISECOND
    assert max(abs(error - 30 * MILLISECOND) for at, error in errors if at > 30 * SECOND) < 12 * MILLISECOND
    assert timeline.jumps == 0


def test_tracks_of_a_peer_share_the_smallest_delay() -> None:
    sound = Simulated(latency=20 * MILLISECOND, jitter=10 * MILLISECOND, seed=3)
    picture = Simulated(rate=90_000, step=33 * MILLISECOND, latency=110 * MILLISECOND, jitter=20 * MILLISECOND, seed=4)
    heard, seen = together(PeerClock(), [sound, picture], 20 * SECOND)
    late = [error for at, error in seen if at > 3 * SECOND]
    audio = [error for at, error in heard if at > 3 * SECOND]
    assert abs(sum(late) / len(late) - sum(audio) / len(audio)) < 2 * MILLISECOND
    assert abs(audio[-1] - 20 * MILLISECOND) < 4 * MILLISECOND


def test_tracks_without_a_common_clock_stand_alone() -> None:
    sound = Simulated(latency=20 * MILLISECOND)
    picture = Simulated(rate=90_000, step=33 * MILLISECOND, latency=60 * MILLISECOND, wall=WALL - 7 * SECOND)
    heard, seen = together(PeerClock(), [sound, picture], 10 * SECOND)
    assert abs(seen[-1][1] - 60 * MILLISECOND) < 2 * MILLISECOND
    assert abs(heard[-1][1] - 20 * MILLISECOND) < 2 * MILLISECOND


@pytest.mark.parametrize("step", [3600 * SECOND, -3600 * SECOND])
def test_a_step_of_the_senders_wall_clock_does_not_bend_media_time(step: Nanos) -> None:
    sound = Simulated(latency=20 * MILLISECOND, stepped=(20 * SECOND, step))
    picture = Simulated(
        rate=90_000,
        step=33 * MILLISECOND,
        latency=90 * MILLISECOND,
        stepped=(20 * SECOND, step),
        report_every=2 * SECOND,
    )
    heard, seen = together(PeerClock(), [sound, picture], 60 * SECOND)
    for errors in (heard, seen):
        steady = [error for at, error in errors if at > 5 * SECOND]
        assert all(abs(error - 20 * MILLISECOND) < 45 * MILLISECOND for error in steady)
        assert abs(steady[-1] - 20 * MILLISECOND) < 3 * MILLISECOND


def test_an_estimate_that_changes_is_slewed_not_jumped() -> None:
    timeline = PeerClock().track("audio", 48_000)
    run(timeline, Simulated(), 0, 20 * SECOND)
    moved = run(timeline, Simulated(latency=-20 * MILLISECOND), 20 * SECOND, 40 * SECOND)
    steps = [b[1] - a[1] for a, b in pairwise(moved)]
    assert max(abs(step) for step in steps) <= 20 * MILLISECOND * 0.006
    assert abs(moved[-1][1] + 20 * MILLISECOND) < MILLISECOND
    assert timeline.jumps == 0


def test_a_path_that_becomes_longer_is_followed_within_seconds() -> None:
    timeline = PeerClock().track("audio", 48_000)
    run(timeline, Simulated(), 0, 20 * SECOND)
    moved = run(timeline, Simulated(latency=330 * MILLISECOND), 20 * SECOND, 50 * SECOND)
    assert abs(moved[-1][1] - 330 * MILLISECOND) < 60 * MILLISECOND


def test_more_than_a_second_is_jumped_and_counted() -> None:
    timeline = PeerClock().track("audio", 48_000)
    run(timeline, Simulated(), 0, 20 * SECOND)
    before = timeline.epoch
    moved = run(timeline, Simulated(latency=2 * SECOND), 20 * SECOND, 30 * SECOND)
    assert timeline.jumps == 1
    assert timeline.epoch == before + 1
    assert abs(moved[-1][1] - 2 * SECOND) < MILLISECOND


def test_one_frame_with_a_mad_time_is_refused_and_changes_nothing() -> None:
    timeline = PeerClock().track("video", 90_000)
    sender = Simulated(rate=90_000, step=33 * MILLISECOND)
    run(timeline, sender, 0, 5 * SECOND)
    _, frame = next(iter(sender.frames(5 * SECOND, 6 * SECOND)))
    mad = EncodedFrame(frame.codec, b"", frame.rtp + 90_000 * 1000, frame.arrived, False, stream=1)
    assert not timeline.observe(mad)
    assert timeline.observe(frame)
    assert timeline.stats()["implausible"] == 1
    assert abs(timeline.at(frame.rtp) - frame.arrived) < MILLISECOND


@pytest.mark.parametrize("leap", [-1000 * 90_000, 1000 * 90_000, -10 * 90_000])
def test_a_sender_that_restarts_its_count_is_followed(leap: int) -> None:
    timeline = PeerClock().track("video", 90_000)
    sender = Simulated(rate=90_000, step=33 * MILLISECOND, report_every=None)
    run(timeline, sender, 0, 5 * SECOND)
    sender.rtp += leap
    moved = run(timeline, sender, 5 * SECOND, 9 * SECOND)
    assert timeline.restarts == 1
    assert abs(moved[-1][1] - 30 * MILLISECOND) < MILLISECOND


def test_an_outage_that_ends_in_a_burst_is_not_a_restart() -> None:
    timeline = PeerClock().track("video", 90_000)
    sender = Simulated(rate=90_000, step=33 * MILLISECOND)
    run(timeline, sender, 0, 10 * SECOND)
    for at, frame in sender.frames(10 * SECOND, 15 * SECOND):
        late = max(frame.arrived, ORIGIN + 15 * SECOND)
        burst = EncodedFrame(frame.codec, b"", frame.rtp, late, True, stream=1)
        timeline.observe(burst)
        assert abs(timeline.at(frame.rtp) - ORIGIN - at - 30 * MILLISECOND) < 2 * MILLISECOND
    assert timeline.restarts == 0


def test_a_new_stream_starts_afresh() -> None:
    timeline = PeerClock().track("video", 90_000)
    run(timeline, Simulated(rate=90_000, step=33 * MILLISECOND), 0, 5 * SECOND)
    epoch = timeline.epoch
    other = Simulated(rate=90_000, step=33 * MILLISECOND, stream=2, rtp=12, latency=45 * MILLISECOND)
    moved = run(timeline, other, 5 * SECOND, 8 * SECOND)
    assert timeline.epoch == epoch + 1
    assert all(abs(error - 45 * MILLISECOND) < MILLISECOND for _, error in moved)


def test_a_wrapped_count_is_only_a_large_number() -> None:
    sender = Simulated(rtp=(1 << 32) - 48_000)
    errors = run(PeerClock().track("audio", 48_000), sender, 0, 5 * SECOND)
    assert all(abs(error - 30 * MILLISECOND) < MILLISECOND for _, error in errors)


def test_rtp_at_is_the_inverse_of_at() -> None:
    timeline = PeerClock().track("audio", 48_000)
    run(timeline, Simulated(skew=50e-6), 0, 10 * SECOND)
    rtp = 3_000_000_000 + 48_000 * 9
    assert abs(timeline.rtp_at(timeline.at(rtp)) - rtp) < 0.01


def test_a_closed_track_no_longer_pulls_the_others() -> None:
    clock = PeerClock()
    sound, picture = clock.track("audio", 48_000), clock.track("video", 90_000)
    run(sound, Simulated(latency=10 * MILLISECOND), 0, 2 * SECOND)
    sound.close()
    errors = run(picture, Simulated(rate=90_000, step=33 * MILLISECOND), 0, 2 * SECOND)
    assert abs(errors[-1][1] - 30 * MILLISECOND) < MILLISECOND


def test_a_steady_track_keeps_its_line_and_what_it_says_is_right_within_a_microsecond() -> None:
    timeline = PeerClock().track("video", 48_000)
    run(timeline, Simulated(), 0, 5 * SECOND)
    line = timeline.line
    errors = run(timeline, Simulated(), 5 * SECOND, 60 * SECOND)
    assert timeline.line is line
    assert all(abs(error - 30 * MILLISECOND) <= 1_000 for _, error in errors)


def test_a_report_that_comes_with_many_frames_is_learned_once_though_each_has_a_copy() -> None:
    timeline = PeerClock().track("audio", 48_000)
    for at, frame in Simulated().frames(0, SECOND):
        assert frame.report is not None
        copy = SenderReport(frame.report.rtp, frame.report.ntp, frame.report.arrived)
        assert timeline.observe(replace(frame, report=copy)), at
    assert timeline.stats()["reports"] == 1


def test_the_least_delay_is_forgotten_when_it_is_too_old() -> None:
    timeline = PeerClock().track("audio", 48_000)
    run(timeline, Simulated(report_every=None, latency=10 * MILLISECOND), 0, SECOND)
    errors = run(timeline, Simulated(report_every=None, latency=60 * MILLISECOND), SECOND, 60 * SECOND)
    assert abs(errors[0][1] - 10 * MILLISECOND) <= 1_000
    assert abs(errors[-1][1] - 60 * MILLISECOND) <= 1_000
