"""A sender's RTP count against its own wall clock: a line through its sender reports."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

from egress.model.media import SECOND, Nanos, SenderReport

REPORTS = 20
SLOPE_READY = 4
REJECTS = 5
SIGMAS = 3.0
FLOOR: float = 100_000.0
"""Reports are never trusted to be better than 100 us, else a perfect sender would reject its own rounding."""
USUAL_SKEW: float = 200_000.0
"""How far (ns per s) a crystal is believed to be off before reports say so: 200 ppm."""
STEP: Nanos = SECOND
"""Before the slope is ready, a report this far off the others is a clock step, not noise."""


class ReportLine:
    """RTP time -> sender's NTP time, regressed over the last sender reports.

    Up to three reports anchor a line of nominal slope; from four on the slope is fitted, held towards nominal as
    far as noise makes it doubtful. A report off the line by more than three sigma is left out; five such in a row
    mean the sender's clock was stepped, and the line starts again from those five.
    """

    def __init__(self, clock_rate: int) -> None:
        self.rate = clock_rate
        self.rejected = 0
        self.rebuilt = 0
        self.spread: Nanos = 0
        self._base: SenderReport | None = None
        self._points: deque[tuple[float, float]] = deque(maxlen=REPORTS)
        self._doubted: list[SenderReport] = []
        self._centre = 0.0
        self._height = 0.0
        self._slope = 0.0
        self._sigma = FLOOR
        self._breadth = 0.0

    @property
    def reports(self) -> int:
        """How many reports the line rests on; 0 means there is no line yet."""
        return len(self._points)

    @property
    def skew(self) -> float:
        """How much faster than nominal the sender's wall clock runs per RTP tick, as a fraction."""
        return self._slope / SECOND

    def add(self, report: SenderReport) -> bool:
        """Take one report; False when it was left out as an outlier."""
        if self._base is None:
            self._restart([report])
            return True
        x, y = self._point(report)
        off = abs(y - self._line(x))
        if len(self._points) >= SLOPE_READY:
            reach = (x - self._centre) ** 2 / self._breadth if self._breadth else 0.0
            tolerance = SIGMAS * self._sigma * math.sqrt(1.0 + 1.0 / len(self._points) + reach)
            if off > tolerance:
                self.rejected += 1
                self._doubted.append(report)
                if len(self._doubted) >= REJECTS:
                    self.rebuilt += 1
                    self._restart(self._doubted)
                return False
        elif off > STEP:
            self.rebuilt += 1
            self._restart([report])
            return True
        self._doubted = []
        self._points.append((x, y))
        self._fit()
        return True

    def ntp(self, rtp: int) -> Nanos:
        """The sender's wall clock (ns since 1970) at an RTP count; with no report yet, RTP time itself in ns."""
        if self._base is None:
            return rtp * SECOND // self.rate
        ticks = rtp - self._base.rtp
        return self._base.ntp + ticks * SECOND // self.rate + round(self._line(ticks / self.rate))

    def clear(self) -> None:
        """Forget every report."""
        self._base = None
        self._points.clear()
        self._doubted = []
        self._slope = 0.0
        self.spread = 0

    def _restart(self, reports: list[SenderReport]) -> None:
        self._base = reports[0]
        self._doubted = []
        self._points.clear()
        self._points.extend(self._point(report) for report in reports)
        self._fit()

    def _point(self, report: SenderReport) -> tuple[float, float]:
        """Seconds since the base by nominal rate, and how many ns the NTP time is off that."""
        assert self._base is not None
        ticks = report.rtp - self._base.rtp
        return ticks / self.rate, float(report.ntp - self._base.ntp - ticks * SECOND // self.rate)

    def _line(self, x: float) -> float:
        return self._height + self._slope * (x - self._centre)

    def _fit(self) -> None:
        count = len(self._points)
        self._centre = sum(x for x, _ in self._points) / count
        self._height = sum(y for _, y in self._points) / count
        self._breadth = sum((x - self._centre) ** 2 for x, _ in self._points)
        self._slope, self._sigma = 0.0, FLOOR
        if count >= SLOPE_READY and self._breadth > 0 and self._ordered():
            tilt = sum((x - self._centre) * (y - self._height) for x, y in self._points)
            best = tilt / self._breadth
            self._sigma = max(FLOOR, self._residual(best, count - 2))
            self._slope = tilt / (self._breadth + (self._sigma / USUAL_SKEW) ** 2)
        self.spread = round(self._residual(self._slope, count))

    def _ordered(self) -> bool:
        return all(a[0] <= b[0] for a, b in pairwise(self._points))

    def _residual(self, slope: float, freedom: int) -> float:
        total = sum((y - self._height - slope * (x - self._centre)) ** 2 for x, y in self._points)
        return math.sqrt(total / max(1, freedom))
