from __future__ import annotations

import random

from egress.media.regression import ReportLine
from egress.model.media import MILLISECOND, SECOND, SenderReport

WALL = 1_790_000_000 * SECOND


def report(at: int, *, skew: float = 0.0, noise: int = 0, step: int = 0, rate: int = 90_000) -> SenderReport:
    return SenderReport(5_000_000_000 + at * rate // SECOND, WALL + round(at * (1 + skew)) + noise + step, at)


def test_with_no_report_rtp_time_is_its_own_clock() -> None:
    assert ReportLine(90_000).ntp(90_000 * 7) == 7 * SECOND


def test_the_first_report_anchors_a_line_of_nominal_slope() -> None:
    line = ReportLine(90_000)
    line.add(report(0))
    assert line.ntp(5_000_000_000 + 90_000) == WALL + SECOND


def test_the_slope_is_found_from_four_reports_on() -> None:
    line = ReportLine(90_000)
    for second in range(0, 12, 3):
        line.add(report(second * SECOND, skew=300e-6))
    assert abs(line.skew - 300e-6) < 10e-6


def test_noise_of_milliseconds_does_not_tilt_a_young_line() -> None:
    chance = random.Random(1)
    line = ReportLine(90_000)
    for number in range(5):
        line.add(report(number * SECOND // 2, noise=round(chance.gauss(0, 8) * MILLISECOND)))
    assert abs(line.ntp(report(10 * SECOND).rtp) - (WALL + 10 * SECOND)) < 15 * MILLISECOND


def test_an_outlier_is_left_out() -> None:
    line = ReportLine(48_000)
    for second in range(10):
        line.add(report(second * SECOND, rate=48_000))
    assert not line.add(report(10 * SECOND, noise=40 * MILLISECOND, rate=48_000))
    assert line.rejected == 1
    assert abs(line.ntp(report(11 * SECOND, rate=48_000).rtp) - (WALL + 11 * SECOND)) < 1000


def test_a_stepped_clock_is_followed_after_five_reports() -> None:
    line = ReportLine(90_000)
    for second in range(10):
        line.add(report(second * SECOND))
    for second in range(10, 15):
        line.add(report(second * SECOND, step=3600 * SECOND))
    assert line.rebuilt == 1
    assert line.reports == 5
    assert abs(line.ntp(report(20 * SECOND).rtp) - (WALL + 3620 * SECOND)) < 1000


def test_a_step_before_the_slope_is_ready_is_followed_at_once() -> None:
    line = ReportLine(90_000)
    line.add(report(0))
    line.add(report(SECOND, step=-3600 * SECOND))
    assert abs(line.ntp(report(2 * SECOND).rtp) - (WALL - 3598 * SECOND)) < 1000
