"""Where sinks write is checked before a job, and made final when it starts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from egress.model import places, targets
from egress.model.errors import RequestError
from egress.model.outputs import (
    AudioFileDoc,
    HlsDoc,
    Mp4Doc,
    OtherSinkDoc,
    RtmpDoc,
    SinkDoc,
    ThumbnailsDoc,
    TracksDoc,
    WebmDoc,
)
from egress.model.pipeline import Pipeline

VALUES = places.values(room="standup", job="j1", pipeline="p", started=datetime(2026, 1, 31, 17, 45, tzinfo=UTC))
KEY = "abcd-efgh-ijkl-mnop"


def pipeline(*sinks: SinkDoc) -> Pipeline:
    return Pipeline(name="p", sinks=sinks)  # type: ignore[arg-type]


def mp4(to: str) -> Mp4Doc:
    return Mp4Doc(kind="mp4", to=to)


def hls(to: str) -> HlsDoc:
    return HlsDoc(kind="hls", to=to)


def rtmp(to: str) -> RtmpDoc:
    return RtmpDoc(kind="rtmp", to=to)


@pytest.mark.parametrize(
    ("sink", "says"),
    [
        (mp4("a/{room}.mp4"), None),
        (mp4("file:a/{room}.m4a"), None),
        (mp4("a/{room}"), "ending in .mp4"),
        (mp4("a.mp4/"), "ending in .mp4"),
        (mp4("../a.mp4"), "leads out"),
        (mp4("file:///etc/a.mp4"), "under the output folder"),
        (mp4("ftp://host/a.mp4"), "nothing stores to ftp: addresses; known: "),
        (mp4("s3://bucket/{room}/{started}.mp4"), None),
        (mp4("s3://bucket/a.mov"), "must name one file ending in .mp4"),
        (mp4("s3:bucket/a.mp4"), "has no bucket"),
        (mp4("s3://Bucket_/a.mp4"), "is no name of a bucket"),
        (mp4("s3://10.0.0.1/a.mp4"), "is no name of a bucket"),
        (mp4("s3://{room}/a.mp4"), "must be written out"),
        (mp4("s3://bucket"), "names a bucket and no object"),
        (mp4("s3://bucket/a/../b.mp4"), "'..' in it"),
        (mp4("s3://bucket/a//b.mp4"), "empty name"),
        (mp4("s3://bucket/" + 980 * "a" + ".mp4"), "984 bytes long"),
        (mp4("s3://bucket/{rom}.mp4"), "unknown placeholder {rom}"),
        (HlsDoc(kind="hls", to="s3://bucket/live/"), None),
        (HlsDoc(kind="hls", to="s3://bucket"), "names a bucket and no object"),
        (AudioFileDoc(kind="audio", to="a.wav"), "ending in .m4a, .ogg, .mp3"),
        (WebmDoc(kind="webm", to="s3://bucket/a.webm"), None),
        (ThumbnailsDoc(kind="thumbnails", to="ftp://host/a"), "nothing stores to ftp"),
        (TracksDoc(kind="tracks", to="s3://bucket/{room}/"), None),
        (mp4("local:standup"), "address of a room"),
        (hls("live/{room}/"), None),
        (hls("live/index.m3u8"), "must name a folder"),
        (hls("live/{rom}/"), "unknown placeholder"),
        (rtmp("{rtmp}"), None),
        (rtmp("rtmp://host/live/key"), None),
        (rtmp("rtmps://host:443/live/{room}"), None),
        (rtmp("rtmps://user:pass@host:443/live/{room}"), "has user:password@"),
        (rtmp("RTMP://host/live/key"), None),
        (rtmp("youtube://abcd-efgh"), None),
        (rtmp("twitch://live_1"), None),
        (rtmp("facebook://FB-1"), None),
        (rtmp("mux://k"), None),
        (rtmp("youtube://"), "no stream key"),
        (rtmp("rtmp://host/justapp"), "no stream key; write it like rtmp://host/app/key"),
        (rtmp("rtmp://host:0/live/key"), "port 0"),
        (rtmp("rtmp://host/{rtmp}"), "write it alone"),
        (rtmp("rtmp://host"), "no stream key"),
        (rtmp("rtmp:///live/key"), "no host"),
        (rtmp("rtmp://host:99999/live/key"), "no readable host and port"),
        (rtmp("rtmp://[::1/live/key"), "no readable host and port"),
        (rtmp("http://host/live"), "scheme 'http'; it needs one of rtmp, rtmps, youtube"),
        (rtmp("live/key"), "has no scheme"),
        (rtmp("rtmp://host/li ve/key"), "space or control"),
        (OtherSinkDoc(kind="wav", to="../x"), "leads out"),
        (OtherSinkDoc(kind="wav", to="srt://host:1"), None),
    ],
)
def test_each_sink_says_what_is_wrong_with_its_target(sink: SinkDoc, says: str | None) -> None:
    messages = " ".join(p.message for p in targets.target_problems(sink, "to"))
    assert (says in messages) if says else not messages


@pytest.mark.parametrize(
    "to",
    [f"rtmp://host:bad/live/{KEY}", f"rtmp://h:{KEY}/live/k", f"{KEY}:x", f"http://host/{KEY}", f"rtmp://h/a b/{KEY}"],
)
def test_messages_about_a_stream_never_show_its_key(to: str) -> None:
    (problem,) = targets.target_problems(rtmp(to), "to")
    assert KEY not in problem.message


def test_two_sinks_on_one_place_are_found_however_they_are_written() -> None:
    same = targets.clashes([hls("live/{room}"), hls("./live//{room}/"), mp4("a.mp4"), hls("a.mp4/x")])
    assert [p.path for p in same] == ["sinks[1].to", "sinks[3].to"]
    assert not targets.clashes([hls("live/{room}"), hls("live/{job}"), rtmp("{rtmp}"), rtmp("rtmp://h/a/b")])


def test_a_backup_is_judged_like_a_target_and_made_final_like_one(tmp_path: Path) -> None:
    assert not targets.backup_problems(mp4("a.mp4"), "b")
    (problem,) = targets.backup_problems(Mp4Doc(kind="mp4", to="a.mp4", backup="b.mov"), "sinks[0].backup")
    assert problem.path == "sinks[0].backup" and "ending in" in problem.message
    (same,) = targets.clashes([Mp4Doc(kind="mp4", to="a.mp4", backup="./a.mp4")])
    assert same.path == "sinks[0].backup"
    made = targets.resolve(
        pipeline(Mp4Doc(kind="mp4", to="s3://bucket/{room}.mp4", backup="b/{room}.mp4")), VALUES, tmp_path
    )
    assert made.sinks[0].model_dump()["backup"] == f"{tmp_path.resolve()}/b/standup.mp4"
    with pytest.raises(RequestError) as caught:
        targets.resolve(pipeline(Mp4Doc(kind="mp4", to="../a.mp4", backup="../b.mp4")), VALUES, tmp_path)
    assert [path for path, _ in caught.value.problems] == ["sinks[0].to", "sinks[0].backup"]


def test_targets_become_final(tmp_path: Path) -> None:
    made = targets.resolve(
        pipeline(mp4("r/{room}.mp4"), hls("live/{job}/"), rtmp("rtmp://h/a/{room}")), VALUES, tmp_path
    )
    root = tmp_path.resolve()
    assert [s.to for s in made.sinks] == [f"{root}/r/standup.mp4", f"{root}/live/j1", "rtmp://h/a/standup"]
    assert Pipeline.model_validate(made.model_dump(mode="json")) == made


def test_places_that_only_become_one_in_this_job_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"sinks\[1\].to: writes the same place as sinks\[0\]"):
        targets.resolve(pipeline(mp4("standup.mp4"), mp4("{room}.mp4")), VALUES, tmp_path)


def test_all_targets_are_judged_at_once(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        targets.resolve(pipeline(mp4("../a.mp4"), hls("{x}/"), rtmp("rtmp://h")), VALUES, tmp_path)
    assert [path for path, _ in caught.value.problems] == ["sinks[0].to", "sinks[1].to", "sinks[2].to"]


def test_given_streams_take_the_place_of_the_placeholder() -> None:
    made = targets.with_streams(pipeline(mp4("a.mp4"), rtmp("{rtmp}")), ["rtmp://a/b/c", "rtmps://d/e/f"])
    assert [s.to for s in made.sinks] == ["a.mp4", "rtmp://a/b/c", "rtmps://d/e/f"]
    assert [s.required for s in made.sinks] == [True, False, False]


def test_given_streams_are_added_to_a_pipeline_that_has_none() -> None:
    made = targets.with_streams(pipeline(mp4("a.mp4")), ["rtmp://a/b/c"])
    assert [s.kind for s in made.sinks] == ["mp4", "rtmp"]


def test_a_pipeline_that_wants_a_stream_says_how_to_give_it() -> None:
    with pytest.raises(RequestError, match="--rtmp rtmp://"):
        targets.with_streams(pipeline(rtmp("{rtmp}")), [])
