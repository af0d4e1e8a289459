from __future__ import annotations

import json

import pytest

from egress.demo.participants import main
from egress.demo.plan import Plan, simple
from egress.model.errors import RequestError
from egress.model.media import Codec, Size
from tests.world import World


def test_plan_survives_json() -> None:
    world = (
        World.everyone(3, 20, codecs=(Codec.VP8, Codec.H264))
        .late(1, 5.5)
        .mutes(0, "video", 3.5, 6.5)
        .drops(2, 8.5, 12.5)
        .resizes(0, 9.5, Size(320, 180))
        .camera_off(1)
        .lags(2, audio_ms=20, video_ms=80)
    )
    assert Plan.loads(world.plan.dumps()) == world.plan


def test_all_sizes_of_a_part_are_known() -> None:
    world = World.everyone(1, 20).resizes(0, 9.5, Size(320, 180)).resizes(0, 12.5, Size(640, 360))
    assert world.part(0).sizes == (Size(640, 360), Size(320, 180))


@pytest.mark.parametrize(
    "change, said",
    [
        ({"person": 64}, "participant 64 does not exist"),
        ({"codec": "av1"}, "av1"),
        ({"size": "big"}, "'big' is not a size"),
        ({"steps": [{"at": 1, "do": "dance"}]}, "'dance' is none of publish"),
        ({"steps": [{"at": 1, "do": "mute"}]}, "does not say whether audio or video"),
        ({"steps": [{"at": 1, "do": "mute", "kind": "smell"}]}, "neither audio nor video"),
        ({"steps": [{"at": 1, "do": "resize"}]}, "has no size"),
    ],
)
def test_bad_plan_is_refused_by_name(change: dict[str, object], said: str) -> None:
    document = json.loads(simple(1, 5, size=Size(640, 360), fps=30, codecs=(Codec.VP8,)).dumps())
    document["parts"][0] |= change
    with pytest.raises(RequestError, match=said):
        Plan.loads(json.dumps(document))


def test_plan_that_is_no_plan_is_refused() -> None:
    for text in ("", "[]", "{}", '{"parts": 3, "seconds": 1}'):
        with pytest.raises(RequestError, match="the plan cannot be used"):
            Plan.loads(text)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--participants", "0"], "0 participants"),
        (["--participants", "65"], "65 participants"),
        (["--size", "huge"], "--size: 'huge' is not a size"),
        (["--size", "9x9"], "--size 9x9 is out of range"),
        (["--fps", "0"], "--fps 0 is out of range"),
        (["--size", "427x241", "--codec", "h264"], "427x241 cannot be H.264"),
        (["--plan", "/nowhere/plan.json"], "cannot be read"),
    ],
)
def test_bad_arguments_end_with_2_and_a_reason(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("EGRESS_CLIPS", str(tmp_path))
    assert main(["--whip", "http://127.0.0.1:9/whip/x", *words]) == 2
    assert said in capsys.readouterr().err
