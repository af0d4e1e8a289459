"""What platforms ask of a stream is held against the pipeline."""

from __future__ import annotations

from typing import Any

import pytest

from egress.model.pipeline import Pipeline
from egress.model.providers import LIMITS, cautions, cautions_for

KEY = "canary-7f3e9a-4471"


def _pipeline(video: dict[str, Any] | None = None, audio: dict[str, Any] | None = None, **more: Any) -> Pipeline:
    sinks = [{"kind": "mp4", "to": "a.mp4"}]
    return Pipeline.model_validate({"name": "p", "sinks": sinks, "video": video or {}, "audio": audio or {}, **more})


@pytest.mark.parametrize("platform", LIMITS)
def test_the_pipeline_as_it_is_by_default_pleases_every_platform(platform: str) -> None:
    pipeline = _pipeline()
    assert cautions_for(f"{platform}://{KEY}", pipeline) == ()


@pytest.mark.parametrize(
    ("platform", "video", "audio", "says"),
    [
        ("twitch", {"keyframe": "4s"}, {}, "keyframes at most 2s apart, and video.keyframe is 4s"),
        ("youtube", {"keyframe": "4s"}, {}, "advises video.keyframe: 2s, not 4s"),
        ("youtube", {"keyframe": "5s"}, {}, "keyframes at most 4s apart"),
        ("facebook", {"keyframe": "5s"}, {}, "keyframes at most 4s apart"),
        ("twitch", {"bitrate": "8M"}, {}, "at most 6M bit/s at this size, and video.bitrate is 8M"),
        ("facebook", {"bitrate": "5M"}, {}, "at most 4M bit/s"),
        ("youtube", {"size": "1920x1080", "bitrate": "11M"}, {}, "at most 10M bit/s"),
        ("twitch", {"size": "3840x2160", "bitrate": "6M"}, {}, "at most 1080 lines at 60 per second, not 3840x2160"),
        ("facebook", {}, {"bitrate": "320k"}, "sound of at most 256k bit/s, and audio.bitrate is 320k"),
    ],
)
def test_what_is_more_than_a_platform_takes_is_named_with_its_field(
    platform: str, video: dict[str, Any], audio: dict[str, Any], says: str
) -> None:
    (text,) = cautions_for(f"{platform}://{KEY}", _pipeline(video, audio))
    assert says in text
    assert text.startswith(f"{platform}://…4471: ") and LIMITS[platform].source in text and KEY not in text


def test_more_pictures_a_second_allow_more_bits_and_an_upright_picture_is_judged_by_its_width() -> None:
    said = {"size": "1080x1920", "bitrate": "8M", "keyframe": "2s"}
    assert len(cautions_for("facebook://k", _pipeline(said))) == 1
    assert cautions_for("facebook://k", _pipeline({**said, "fps": 60})) == ()


def test_a_platform_that_wants_a_picture_says_so() -> None:
    pipeline = Pipeline.model_validate({"name": "p", "sinks": [{"kind": "mp4", "to": "a.mp4"}], "video": None})
    assert [text for text in cautions_for("youtube://k", pipeline) if "wants a picture too" in text]


def test_addresses_of_anybodys_own_are_not_judged() -> None:
    pipeline = _pipeline({"bitrate": "50M", "keyframe": "10s"})
    for to in ("rtmp://a.rtmp.youtube.com/live2/k", "srt://host:9000", "rtmps://host/app/k"):
        assert cautions_for(to, pipeline) == ()


def test_a_pipelines_own_streams_are_named_by_their_place() -> None:
    document = {
        "name": "p",
        "sinks": [{"kind": "mp4", "to": "a.mp4"}, {"kind": "rtmp", "to": f"twitch://{KEY}"}],
        "video": {"keyframe": "3s"},
    }
    (text,) = cautions(Pipeline.model_validate(document))
    assert text.startswith("sinks[1] twitch://…4471: Twitch")
