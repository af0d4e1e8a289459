"""When media happened: RTP counts of many senders brought onto our one monotonic clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from egress.media.regression import ReportLine
from egress.model.errors import Fault
from egress.model.media import MILLISECOND, SECOND, EncodedFrame, Nanos, SenderReport

BUCKET: Nanos = SECOND
BUCKETS = 20
"""The minimum delay is looked for over the last 20 s: long enough to meet a quiet moment of a jittery network, short
enough that 100 ppm of skew shifts it by 2 ms only."""
STEPPED_BUCKETS = 3
STEPPED_FRAMES = 10
STEPPED: Nanos = 150 * MILLISECOND
"""When every frame of 3 s came this much later than the minimum, the path itself has become longer."""
APART: Nanos = 500 * MILLISECOND
"""Tracks of one peer whose delays differ by more than this do not count from one NTP clock."""
FRESH: Nanos = BUCKET * BUCKETS
SETTLING: Nanos = 300 * MILLISECOND
"""Nothing of a stream has been presented this soon after its first frame, so its line may still move freely."""
YOUNG: Nanos = 10 * SECOND
SLEW_YOUNG = 0.1
"""In its first 10 s a stream learns its true time from its first reports: 100 ms/s brings lip sync at once."""
SLEW = 0.005
"""Later 5 ms/s: as speed this is 0.5 %, a twelfth of a semitone, which nobody hears."""
SLEW_TIME = 10
"""A large error is worse than a fast correction: it goes at a tenth of itself per second, if that is more."""
STILL: Nanos = 1_000
"""A line is left as it is when it is off by a microsecond at most."""
JUMP: Nanos = SECOND
PAUSE: Nanos = 2 * SECOND
"""After so long without a frame nothing is being presented: the line may move freely once more."""
EARLY: Nanos = SECOND
EARLY_FRAMES = 5
LATE: Nanos = 3_500 * MILLISECOND
LATE_FRAMES = 5
LATE_FOR: Nanos = SECOND


@dataclass(frozen=True, slots=True)
class Line:
    """RTP time against our monotonic clock around one moment: `tick` is ns per RTP count."""

    rtp: int
    time: Nanos
    tick: float

    def at(self, rtp: int) -> Nanos:
        """Our monotonic time of an RTP count."""
        return self.time + round((rtp - self.rtp) * self.tick)

    def rtp_at(self, time: Nanos) -> float:
        """The RTP count (fractional) at our monotonic time."""
        return self.rtp + (time - self.time) / self.tick


@dataclass(slots=True)
class _Bucket:
    """The least delayed frame of one second; kept as a pair, so that its delay can be told anew when reports come."""

    start: Nanos
    rtp: int
    arrived: Nanos
    delay: Nanos
    frames: int = 1


class TrackTimeline:
    """One track's RTP time -> our monotonic time, through the sender's reports when there are any.

    `observe` is called on one thread, in order of arrival; `at`, `line` and `rtp_at` from any thread.
    """

    def __init__(self, peer: PeerClock, kind: str, clock_rate: int) -> None:
        self.kind = kind
        self.clock_rate = clock_rate
        self.epoch = 0
        """Goes up when the line is not the continuation of the line before: a new stream, a restart, a jump."""
        self.jumps = 0
        self.restarts = 0
        self.implausible = 0
        self._peer = peer
        self._stream: int | None = None
        self._reports = ReportLine(clock_rate)
        self._report: SenderReport | None = None
        self._reports_from: Nanos = 0
        self._buckets: deque[_Bucket] = deque(maxlen=BUCKETS)
        # Least recent (arrival - sender's time), which holds the difference of both clocks' origins.
        self._delay: Nanos = 0
        self._line: Line | None = None
        self._born: Nanos = 0
        self._steered: Nanos = 0
        self._latest: Nanos = 0
        self._odd: list[EncodedFrame] = []

    @property
    def ready(self) -> bool:
        """Whether at least one frame was observed."""
        return self._line is not None

    @property
    def line(self) -> Line:
        """The line in force; raises Fault before the first frame."""
        if self._line is None:
            raise Fault(f"the time of a {self.kind} track was asked for before its first frame")
        return self._line

    def at(self, rtp: int) -> Nanos:
        """When an RTP count happened at the sender, on OUR monotonic clock, the least network delay included."""
        return self.line.at(rtp)

    def rtp_at(self, time: Nanos) -> float:
        """The RTP count (fractional) at our monotonic time."""
        return self.line.rtp_at(time)

    def best(self, rtp: int) -> Nanos:
        """As `at`, by all that is known so far: the line in force still moves there, slowly enough not to be heard."""
        return self._target(rtp)

    def observe(self, frame: EncodedFrame) -> bool:
        """Learn from one frame; False when its RTP time is out of all proportion, so that it must not be presented."""
        if frame.stream != self._stream:
            self._reports_from = 0
            self._begin(frame)
            return True
        have = self.line.at(frame.rtp)
        if self._out_of_proportion(frame, frame.arrived - have):
            self.implausible += 1
            return False
        self._steer(frame, self._learn(frame), have)
        return True

    def close(self) -> None:
        """Take no more part in the peer's common offset."""
        self._peer.forget(self)

    def stats(self) -> Mapping[str, int]:
        """Counters, and diagnostics: `spread` (of reports) and `error` (still to be slewed) in ns, `skew` in ppb."""
        line = self._line
        return {
            "reports": self._reports.reports,
            "rejected": self._reports.rejected,
            "rebuilt": self._reports.rebuilt,
            "spread": self._reports.spread,
            "skew": round(self._reports.skew * 1e9),
            "error": self._target(line.rtp) - line.time if line is not None else 0,
            "jumps": self.jumps,
            "restarts": self.restarts,
            "implausible": self.implausible,
        }

    @property
    def reported(self) -> bool:
        """Whether at least one sender report ties this track to its sender's clock."""
        return self._reports.reports > 0

    def _begin(self, frame: EncodedFrame) -> None:
        self._stream = frame.stream
        self._odd = []
        self._reports.clear()
        self._buckets.clear()
        self._line = None
        self._report = None
        self._born = frame.arrived
        self.epoch += 1
        self._steer(frame, self._learn(frame), None)

    def _out_of_proportion(self, frame: EncodedFrame, lateness: Nanos) -> bool:
        """Whether a frame claims a time it cannot have; a sender that keeps to such times is followed afresh."""
        if -EARLY <= lateness <= LATE:
            self._odd.clear()
            return False
        if self._odd and abs(self._nominal(frame) - self._nominal(self._odd[-1])) > SECOND:
            self._odd = []
        self._odd.append(frame)
        first = self._odd[0]
        if lateness < 0:
            persistent = len(self._odd) >= EARLY_FRAMES
        else:
            persistent = len(self._odd) >= LATE_FRAMES and frame.arrived - first.arrived >= LATE_FOR
            del self._odd[1:-LATE_FRAMES]
        if not persistent:
            return True
        self.restarts += 1
        self._reports_from = frame.arrived
        self._begin(frame)
        return False

    def _nominal(self, frame: EncodedFrame) -> Nanos:
        return frame.arrived - frame.rtp * SECOND // self.clock_rate

    def _learn(self, frame: EncodedFrame) -> Nanos:
        """Learn from a frame and the report it came after; its time by the sender's clock."""
        arrived = frame.arrived
        if arrived > self._latest:
            self._latest = arrived
        report = frame.report
        if report is not None and report is not self._report and self._is_news(report):
            self._report = report
            self._reports.add(report)
            for bucket in self._buckets:
                bucket.delay = bucket.arrived - self._reports.ntp(bucket.rtp)
            self._find_least()
        sent = self._reports.ntp(frame.rtp)
        delay = arrived - sent
        last = self._buckets[-1] if self._buckets else None
        if last is None or arrived - last.start >= BUCKET:
            self._buckets.append(_Bucket(arrived, frame.rtp, arrived, delay))
            self._drop_old(arrived)
            self._find_least()
        else:
            last.frames += 1
            if delay < last.delay:
                last.rtp, last.arrived, last.delay = frame.rtp, arrived, delay
                if delay < self._delay:
                    self._delay = delay
        return sent

    def _is_news(self, report: SenderReport) -> bool:
        return report != self._report and report.arrived >= self._reports_from

    def _find_least(self) -> None:
        self._delay = min((bucket.delay for bucket in self._buckets), default=self._delay)

    def _drop_old(self, now: Nanos) -> None:
        while now - self._buckets[0].start > FRESH:
            self._buckets.popleft()
        if len(self._buckets) <= STEPPED_BUCKETS:
            return
        full = list(self._buckets)[-1 - STEPPED_BUCKETS : -1]
        least = min(bucket.delay for bucket in full)
        if sum(b.frames for b in full) >= STEPPED_FRAMES and least - self._delay > STEPPED:
            self._buckets = deque((*full, self._buckets[-1]), BUCKETS)

    def _target(self, rtp: int) -> Nanos:
        return self._reports.ntp(rtp) + self._peer.offset(self)

    def _steer(self, frame: EncodedFrame, sent: Nanos, have: Nanos | None) -> None:
        """Move the line in force, which has a frame at `have`, towards what is now known to be right."""
        want = sent + self._peer.offset(self)
        age = frame.arrived - self._born
        passed = max(0, frame.arrived - self._steered)
        self._steered = frame.arrived
        if passed > PAUSE:
            self._born, age = frame.arrived, 0
        tick = SECOND / self.clock_rate * (1.0 + self._reports.skew)
        if have is None or self._line is None or age < SETTLING:
            self._line = Line(frame.rtp, want, tick)
            return
        error = want - have
        if -STILL <= error <= STILL and tick == self._line.tick:
            # As nearly always: the same line, and a place on it is as good as another.
            return
        if abs(error) > JUMP:
            self.jumps += 1
            self.epoch += 1
            self._line = Line(frame.rtp, want, tick)
            return
        speed = max(SLEW_YOUNG if age < YOUNG else SLEW, abs(error) / SLEW_TIME / SECOND)
        step = round(speed * min(SECOND, passed))
        self._line = Line(frame.rtp, have + max(-step, min(step, error)), tick)


class PeerClock:
    """One peer's clock against ours: equal sender's time is equal time for us, on every track of the peer."""

    def __init__(self) -> None:
        self._tracks: list[TrackTimeline] = []

    def track(self, kind: str, clock_rate: int) -> TrackTimeline:
        """A timeline for one more track of this peer."""
        timeline = TrackTimeline(self, kind, clock_rate)
        self._tracks.append(timeline)
        return timeline

    def forget(self, timeline: TrackTimeline) -> None:
        """Leave a track out from now on."""
        if timeline in self._tracks:
            self._tracks.remove(timeline)

    def offset(self, track: TrackTimeline) -> Nanos:
        """What to add to a track's sender time: the least delay of all the peer's tracks that share its clock.

        Sharing is what makes lip sync: what one track is delayed more than another (an encoder, a pacer) is not part of
        when it happened. Tracks further apart than half a second cannot share a clock, and stand on their own.
        """
        delay = least = track._delay
        if not track.reported:
            return least
        for other in self._tracks:
            less = delay - other._delay
            if 0 < less <= APART and other.reported and abs(other._latest - track._latest) < FRESH:
                least = min(least, other._delay)
        return least
