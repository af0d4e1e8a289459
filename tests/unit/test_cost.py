"""The cost model says what jobs of many kinds were measured to cost."""

from __future__ import annotations

import pytest

from egress.control.cost import CAMERA, cost
from tests.benchmarks.costs import CASES, measured_rows


@pytest.mark.parametrize("name", CASES)
def test_a_measured_job_is_predicted_within_a_fifth(name: str) -> None:
    case = CASES[name]
    said = cost(case.document, [case.camera] * case.participants).total / 1000
    assert said == pytest.approx(measured_rows()[name]["total"], rel=0.2)


def test_each_stage_grows_with_what_it_works_on() -> None:
    few, many = (cost(CASES["4 in 720p"].document, [CAMERA] * count) for count in (4, 9))
    assert few.receive < many.receive and few.decode < many.decode and few.mix < many.mix
    assert few.encode == many.encode and few.sinks == many.sinks
    assert many.total == pytest.approx(many.worker)
    streamed = cost(CASES["9 in 720p, MP4, HLS and RTMP"].document, [CAMERA] * 9)
    assert streamed.senders > 0 and streamed.total == pytest.approx(streamed.worker + streamed.senders)


def test_tracks_alone_are_neither_decoded_nor_encoded() -> None:
    kept = cost(CASES["9 tracks only"].document, [CAMERA] * 9)
    assert kept.decode == kept.compose == kept.mix == kept.encode == 0
    assert kept.receive == cost(CASES["9 in 720p"].document, [CAMERA] * 9).receive
