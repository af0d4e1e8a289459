"""Whatever stands in a pipeline file, all of it that is wrong is said at once, with place and fix."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from egress.model import checking
from egress.model.errors import RequestError
from egress.model.pipeline import Pipeline

GOOD = "name: good\nsinks: [{kind: mp4, to: 'a/{room}.mp4'}]\n"


def problems(text: str | bytes) -> dict[str, str]:
    with pytest.raises(RequestError) as caught:
        checking.read(text, "x.yaml")
    assert caught.value.message.startswith("x.yaml: ")
    return dict(caught.value.problems)


def only(text: str | bytes, path: str) -> str:
    found = problems(text)
    assert list(found) == [path]
    return found[path]


def with_video(**fields: object) -> str:
    return GOOD + "video: {" + ", ".join(f"{k}: {v}" for k, v in fields.items()) + "}\n"


def with_hls(hls: str, **video: object) -> str:
    text = f"name: good\nsinks: [{{kind: hls, to: live/, {hls}}}]\n"
    return text + ("video: {" + ", ".join(f"{k}: {v}" for k, v in video.items()) + "}\n" if video else "")


def test_a_good_pipeline_is_read() -> None:
    made = checking.read(GOOD, "x.yaml")
    assert isinstance(made, Pipeline)
    assert made.sinks[0].to == "a/{room}.mp4"
    assert checking.read(b"\xef\xbb\xbf" + GOOD.encode(), "x.yaml") == made


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("- a\n", "is not a mapping"),
        ("a: [\n", "line 2, column 1: not valid YAML"),
        ("a: 1\n\tb: 2\n", "indent with spaces, not tabs"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("? [a]\n: 1\n", "a key must be a plain word"),
        ("a: !!python/object:os.system x\n", "line 1, column 4: not valid YAML"),
        ("a: \x00\n", "is not YAML"),
        (b"\xff\xfe", "is not UTF-8"),
        ("[" * 5000, "nested too deeply"),
        ("a: " + "9" * 5000, "a value nobody can read"),
        ("a: " + "x" * 300_000, "a pipeline may have 256 KiB"),
    ],
)
def test_text_that_is_no_mapping_says_where(text: str | bytes, says: str) -> None:
    assert says in only(text, "")


def test_a_key_twice_is_refused_with_both_lines() -> None:
    found = problems("name: a\nname: b\nvideo:\n  fps: 1\n  fps: 2\n")
    assert "line 2: the key stands twice (first on line 1)" in found["name"]
    assert "line 5" in found["video.fps"]


def test_an_alias_bomb_is_refused_without_being_unfolded() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for i in range(12):
        bomb += f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n"
    assert "use fewer aliases" in only(bomb, "")
    assert "holds itself" in only("a: &a [*a]\n", "a[0]")


def test_an_ordinary_alias_is_fine() -> None:
    text = "name: good\nsinks: [{kind: hls, to: a/, part: &half 500ms}, {kind: hls, to: b/, part: *half}]\n"
    assert len(checking.read(text, "x.yaml").sinks) == 2


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        (GOOD + "colour: 1\n", "colour", "unknown key; known: about, audio, cards"),
        (GOOD + "room: local:standup\n", "room", "how, not where"),
        (GOOD + "layout: {margn: 1}\n", "layout.margn", "did you mean 'margin'?"),
        (GOOD + "layout: {kind: speeker}\n", "layout.kind", "did you mean 'speaker'?"),
        (GOOD + "layout: {labels: true}\n", "layout.labels", "write it as tiles.labels"),
        (GOOD + "layout: {background: '#000000'}\n", "layout.background", "write it as theme.background"),
        (GOOD + "layout: {border: 1}\n", "layout.border", "write it as tiles.border or theme.border"),
        (GOOD + "layout: {share: 0.3}\n", "layout.share", "kind grid has no share, these have: pip, screen"),
        (GOOD + "layout: {kind: pip, share: 0.6}\n", "layout.share", "use 0.5 or less"),
        (GOOD + "layout: {kind: pip, share: big}\n", "layout.share", "a number like 0.25"),
        (GOOD + "layout: {kind: pip, corner: top-lef}\n", "layout.corner", "did you mean 'top-left'?"),
        (GOOD + "layout: {kind: custom}\n", "layout.boxes", "at least one box"),
        (GOOD + "layout: {kind: custom, boxes: []}\n", "layout.boxes", "at least one"),
        (GOOD + "layout: {kind: custom, boxes: [{y: 0, width: 1, height: 1}]}\n", "layout.boxes[0].x", "left edge"),
        (GOOD + "layout: {kind: custom, boxes: [3]}\n", "layout.boxes[0]", "mapping with keys fit, height"),
        (GOOD + "layout: speaker\n", "layout", "write {kind: speaker}"),
        (GOOD + "layout: {kind: gird}\n", "layout.kind", "did you mean 'grid'?"),
        (GOOD + "layout: {gap: -1}\n", "layout.gap", "use 0 or more"),
        (GOOD + "layout: {gap: 9999}\n", "layout.gap", "use 200 or less"),
        (GOOD + "layout: {gap: wide}\n", "layout.gap", "whole number"),
        (GOOD + "tiles: {labels: perhaps}\n", "tiles.labels", "true or false"),
        (GOOD + "tiles: {transition: 250}\n", "tiles.transition", "write it like 500ms"),
        (GOOD + "theme: drk\n", "theme.base", "did you mean 'dark'?"),
        (GOOD + "theme: 3\n", "theme", "must be a mapping with keys background"),
        (GOOD + "theme: {background: red}\n", "theme.background", "a colour like '#101418', in quotes"),
        (GOOD + "theme: {background: 101418}\n", "theme.background", "a colour like '#101418', in quotes"),
        (GOOD + "theme:\n  background: #101418\n", "theme.background", "an unquoted # for a comment"),
        (GOOD + "theme:\n  base: dark\n  text: #ffffff\n", "theme.text", "an unquoted # for a comment"),
        (GOOD + "roles:\n  host:\n    show: true\n    accent: #fff\n", "roles.host.accent", "an unquoted #"),
        (GOOD + "overlays: [{kind: logo, image: a.png}]\n", "overlays[0].kind", "known: clock, image"),
        (GOOD + "overlays: [{kind: imge}]\n", "overlays[0].kind", "did you mean 'image'?"),
        (GOOD + "overlays: [{text: a}]\n", "overlays[0].kind", "one of clock, image"),
        (GOOD + "overlays: [clock]\n", "overlays[0]", "write {kind: clock}"),
        (GOOD + "overlays: [{kind: clock, text: a}]\n", "overlays[0].text", "these have: title, watermark"),
        (GOOD + "overlays: [{kind: image}]\n", "overlays[0].image", "a PNG, JPEG or WebP file"),
        (GOOD + "overlays: [{kind: clock, id: Big Ben}]\n", "overlays[0].id", "at most 32, like logo"),
        (GOOD + "overlays: [{kind: clock, opacity: 0}]\n", "overlays[0].opacity", "use more than 0"),
        (GOOD + "overlays: {kind: clock}\n", "overlays", "must be a list"),
        (GOOD + "cards: {begin: {}}\n", "cards.begin", "known: end, paused, start, waiting"),
        (GOOD + "cards: {waiting: {duration: 2s}}\n", "cards.waiting.duration", "known: image, text, title"),
        (GOOD + "cards: {start: {duration: 2}}\n", "cards.start.duration", "write it like 500ms"),
        (GOOD + "roles: [host]\n", "roles", "one `name: value` a line"),
        (GOOD + "roles: {host: {pan: middle}}\n", "roles.host.pan", "both, left or right"),
        (GOOD + "roles: {host: {accnt: x}}\n", "roles.host.accnt", "did you mean 'accent'?"),
        (GOOD + "roles: {3: {}}\n", "roles.3", "put it in quotes"),
        (GOOD + "select: {sources: [cam]}\n", "select.sources[0]", "did you mean 'camera'?"),
        (GOOD + "fps: 25\n", "fps", "write it as video.fps"),
        (GOOD + "layout: {margin: 350}\n", "layout.margin", "leave nothing"),
        (GOOD + "layout: 3\n", "layout", "must be a mapping with keys fit"),
        (GOOD + "select: {roles: []}\n", "select.roles", "selects nobody"),
        (GOOD + "select: {roles: host}\n", "select.roles", "must be a list"),
        (GOOD + "select: {roles: [host, '']}\n", "select.roles[1]", "is empty"),
        (GOOD + "about: 3\n", "about", "put it in quotes"),
        (GOOD + "stop: {max: 0s}\n", "stop.max", "use 1s to 720h"),
        (GOOD + "stop: {max: 0}\n", "stop.max", "use 1s to 720h"),
        (GOOD + "stop: {max: 999999999999h}\n", "stop.max", "use 1s to 720h"),
        (GOOD + "stop: {empty_for: 1:30}\n", "stop.empty_for", "write it like 500ms"),
        (GOOD + "stop: {empty_for: 9999h}\n", "stop.empty_for", "0s for never"),
        (GOOD + "delay: 0s\n", "delay", "use 50ms to 10s"),
        (GOOD + "audio: {bitrate: 1}\n", "audio.bitrate", "aac takes 24k to 512k"),
        (GOOD + "audio: {bitrate: 400k, channels: 1}\n", "audio.bitrate", "24k to 256k"),
        (GOOD + "audio: {rate: 44100}\n", "audio.rate", "must be 48000"),
        (GOOD + "audio: null\n", "audio", "must be a mapping"),
        ("name: Live\n" + GOOD[11:], "name", "lower-case letters"),
        (GOOD[11:], "name", "is required"),
        ("name: a\n", "sinks", "at least one output"),
        ("name: a\nsinks: []\n", "sinks", "at least one"),
        ("name: a\nsinks: [{to: x}]\n", "sinks[0].kind", "is required: one of"),
        ("name: a\nsinks: [{kind: mp4}]\n", "sinks[0].to", "is required"),
        ("name: a\nsinks: [{kind: mp4, to: ''}]\n", "sinks[0].to", "is empty"),
        ("name: a\nsinks: [{kind: mp5, to: x}]\n", "sinks[0].kind", "did you mean 'mp4'?"),
        ("name: a\nsinks: [mp4]\n", "sinks[0]", "must be a mapping"),
        ("name: a\nsinks: [{kind: mp4, to: ../a.mp4}]\n", "sinks[0].to", "leads out"),
        (with_video(size="'0x720'"), "video.size", "each side must be 64 to 4096"),
        (with_video(size="1281x721"), "video.size", "use 1282x722"),
        (with_video(size="99999999999x1"), "video.size", "write it like 1280x720"),
        (with_video(size="8192x4320"), "video.size", "64 to 4096"),
        (with_video(size="4096x2160"), "video.size", "more pixels than 3840x2160"),
        (with_video(size="720"), "video.size", "write it like 1280x720"),
        (with_video(fps=0), "video.fps", "use 1 to 60"),
        (with_video(fps=120), "video.fps", "use 1 to 60"),
        (with_video(fps="fast"), "video.fps", "write it like 30"),
        (with_video(fps="1/0"), "video.fps", "write it like 30"),
        (with_video(bitrate=0), "video.bitrate", "use 50k to 100M"),
        (with_video(bitrate="9G"), "video.bitrate", "write it like 3M"),
        (with_video(keyframe="0s"), "video.keyframe", "use 200ms to 10s"),
        (with_video(keyframe="1990ms"), "video.keyframe", "59.70 pictures at 30 per second"),
        (with_video(fps="30000/1001"), "video.keyframe", "or 2002ms"),
        (with_video(preset="fastest"), "video.preset", "ultrafast, superfast"),
        (with_video(profile="highest"), "video.profile", "baseline, main or high"),
        (GOOD + "video: 3\n", "video", "must be a mapping with keys bitrate"),
        (with_hls("part: 510ms"), "sinks[0].part", "15.30 pictures"),
        (with_hls("part: 50ms"), "sinks[0].part", "use 100ms to 2s"),
        (with_hls("segment: 0s"), "sinks[0].segment", "use 1s to 20s"),
        (with_hls("segment: 5s"), "sinks[0].segment", "use 4s or 6s"),
        (with_hls("part: 2s, segment: 1s", keyframe="1s"), "sinks[0].part", "longer than a segment"),
        (with_hls("playlist: sliding, window: 5s"), "sinks[0].window", "use 24s or more"),
        (with_hls("playlist: sliding, vod: true"), "sinks[0].vod", "forgets its beginning"),
        (with_hls("prt: 1s"), "sinks[0].prt", "did you mean 'part'?"),
        (
            "name: a\naudio: {codec: opus}\nsinks: [{kind: rtmp, to: rtmp://h/a/k}]\n",
            "sinks[0].kind",
            "RTMP carries aac",
        ),
    ],
)
def test_a_single_fault_gives_a_single_problem_that_says_the_fix(text: str, path: str, says: str) -> None:
    assert says in only(text, path)


def test_a_part_that_audio_cannot_fill_is_refused_with_one_it_can() -> None:
    text = "name: a\nvideo: null\nsinks: [{kind: hls, to: live/, part: 126ms}]\n"
    message = only(text, "sinks[0].part")
    assert "holds 5 aac frames" in message
    assert "use 130ms" in message
    checking.read(text.replace("126ms", "130ms"), "x.yaml")


def test_segments_without_a_picture_need_no_keyframes() -> None:
    checking.read("name: a\nvideo: null\nsinks: [{kind: hls, to: live/, segment: 5s}]\n", "x.yaml")


def test_faults_of_form_and_of_rules_come_together_in_one_answer() -> None:
    found = problems(
        "name: Bad\nlayout: {kind: gird}\nvideo: {size: 3x3, keyframe: soon}\n"
        "sinks:\n  - {kind: hls, to: ../x, segment: 5s}\n  - {kind: mp4, to: '{rom}.mp4', fragmant: 1s}\n"
    )
    assert set(found) == {
        "name",
        "layout.kind",
        "video.size",
        "video.keyframe",
        "sinks[0].to",
        "sinks[1].to",
        "sinks[1].fragmant",
    }


def test_a_sink_of_unknown_kind_still_has_its_place_judged() -> None:
    assert set(problems("name: a\nsinks: [{kind: mp5, to: ../x}]\n")) == {"sinks[0].kind", "sinks[0].to"}


def test_every_problem_tells_its_line() -> None:
    found = problems("name: a\nvideo:\n  fps: 0\nsinks:\n  - kind: mp4\n    to: ../a.mp4\n  - kind: hls\n")
    assert found["video.fps"].endswith("(line 3)")
    assert found["sinks[0].to"].endswith("(line 6)")
    assert found["sinks[1].to"].endswith("(line 7)")


def test_messages_stay_short_whatever_was_written() -> None:
    found = problems(f"name: {'n' * 4000}\nvideo: {{size: {'9' * 4000}}}\nsinks: [{{kind: {'k' * 4000}, to: x}}]\n")
    assert len(found) == 3
    assert all(len(message) < 400 for message in found.values())


def test_whatever_stands_in_any_field_is_refused_or_read_but_never_breaks() -> None:
    odd: list[object] = [None, True, -1, 0, 10**30, 1.5, float("inf"), float("nan"), "", "\x00", "{", "2s", "1x1"]
    odd += ["9" * 400 + "h", "../", "rtmp://[", "💥", [], [[]], {}, {"kind": "hls"}, [None], {1: 2}, b"x", ()]
    whole = {
        "name": "good",
        "about": "x",
        "select": {"roles": ["host"]},
        "layout": {"kind": "spotlight", "gap": 1, "fit": "cover", "share": 0.2, "peers": ["a"], "roles": ["b"]},
        "tiles": {"labels": True, "radius": 2, "avatars": "initials", "transition": "0s"},
        "theme": {"base": "light", "text": "#000000"},
        "overlays": [
            {"kind": "clock", "id": "a", "zone": "UTC", "format": "%H", "place": "top"},
            {"kind": "title", "text": "{room}", "opacity": 0.5},
            {"kind": "image", "image": "a.png", "width": 0.5},
        ],
        "cards": {"start": {"title": "x", "duration": "1s"}, "paused": {"text": "y"}},
        "roles": {"host": {"show": True, "prominence": 1, "accent": "#000000", "pan": "left"}},
        "video": {"size": "90x90", "fps": 30, "bitrate": "1M", "keyframe": "2s", "preset": "fast", "tune": "none"},
        "audio": {"rate": 48000, "channels": 2, "bitrate": "128k", "codec": "aac"},
        "sinks": [
            {"kind": "mp4", "to": "a.mp4", "required": True, "fragment": "2s"},
            {"kind": "hls", "to": "l/", "part": "500ms", "segment": "4s", "window": "15m", "playlist": "event"},
            {"kind": "rtmp", "to": "rtmp://h/a/b"},
        ],
        "stop": {"empty_for": "5m", "max": "4h"},
        "delay": "400ms",
    }
    assert checking.examine(whole)[1] == ()
    for path, value in [(path, value) for path in _paths(whole) for value in odd]:
        changed = copy.deepcopy(whole)
        place: Any = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        pipeline, problems = checking.examine(changed)
        assert pipeline is not None or problems, (path, value)
        assert all(problem.message and len(problem.message) < 500 for problem in problems), (path, value)


def _paths(value: object) -> list[tuple[Any, ...]]:
    steps: list[Any] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    return [(key, *rest) for key, child in steps for rest in [(), *_paths(child)]]
