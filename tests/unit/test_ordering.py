from datetime import UTC, datetime
from pathlib import Path

import pytest

from egress.model.errors import RequestError
from egress.ordering import make_order, new_job_id

FIXED = "name: fixed\nsinks:\n  - {kind: mp4, to: a.mp4}\n  - {kind: hls, to: live/}\n"


@pytest.fixture
def fixed(tmp_path):
    path = tmp_path / "fixed.yaml"
    path.write_text(FIXED)
    return str(path)


def order(tmp_path, room="local:standup", **options):
    options.setdefault("pipeline", "record-grid")
    return make_order(room, root=tmp_path / "out", spool=tmp_path / "spool", **options)


def test_an_order_has_every_target_resolved_under_its_folder(tmp_path):
    made = order(tmp_path, seconds=3)
    assert made.id in made.folder and made.folder.startswith(str(tmp_path / "spool"))
    for sink in made.pipeline.sinks:
        assert Path(sink.to).is_relative_to(tmp_path / "out") and "{" not in sink.to
    assert made.manifest.endswith(".manifest.json")
    assert made.seconds == 3


def test_the_manifest_stands_with_the_first_output(tmp_path, fixed):
    assert order(tmp_path, pipeline=fixed).manifest == str(tmp_path / "out" / "a.manifest.json")
    named = order(tmp_path, pipeline=fixed, manifest="m.json")
    assert named.manifest == str(tmp_path / "out" / "m.json")


def test_outputs_that_exist_are_refused_unless_they_may_be_replaced(tmp_path, fixed):
    (tmp_path / "out" / "live").mkdir(parents=True)
    (tmp_path / "out" / "live" / "index.m3u8").write_text("")
    (tmp_path / "out" / "a.mp4").write_text("")
    with pytest.raises(RequestError) as caught:
        order(tmp_path, pipeline=fixed)
    assert [path for path, _ in caught.value.problems] == ["sinks[0].to", "sinks[1].to"]
    assert "--overwrite" in caught.value.message
    assert order(tmp_path, pipeline=fixed, overwrite=True).overwrite


def test_private_avatars_are_fetched_only_when_asked_for(tmp_path, fixed):
    assert not order(tmp_path, pipeline=fixed).private_avatars
    assert order(tmp_path, pipeline=fixed, private_avatars=True).private_avatars


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"room": "standup"}, "local:standup"),
        ({"room": "local:"}, "local:standup"),
        ({"room": "zoom:standup"}, "local:"),
        ({"room": "local:../../etc/passwd"}, "/"),
        ({"seconds": 0}, "--seconds"),
        ({"seconds": float("nan")}, "--seconds"),
        ({"seconds": float("inf")}, "--seconds"),
        ({"pipeline": "nope"}, "record-grid"),
        ({"layout": "gird"}, "grid"),
        ({"streams": ("http://host/a",)}, "rtmp://"),
        ({"pipeline": "live-rtmp"}, "--rtmp"),
    ],
)
def test_a_bad_request_names_the_fix_and_starts_nothing(tmp_path, options, words):
    with pytest.raises(RequestError, match=words):
        order(tmp_path, **options)
    assert not (tmp_path / "spool").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("room", ["local:🎉", "local:" + "x" * 300, "local:a\nb\x00"])
def test_whatever_the_room_is_called_outputs_stay_where_they_belong(tmp_path, room):
    made = order(tmp_path, room=room)
    for sink in made.pipeline.sinks:
        assert Path(sink.to).is_relative_to(tmp_path / "out")
        assert max(len(part.encode()) for part in Path(sink.to).parts) <= 255


def test_job_ids_sort_by_time_and_differ():
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert new_job_id(now).startswith("20260102-030405-")
    assert new_job_id(now) != new_job_id(now)


def test_pictures_are_found_and_texts_filled_before_anything_starts(tmp_path):
    made = order(tmp_path, pipeline="speaker-branded", room="local:Caf%C3%A9 {x}")
    title, _, _, logo = made.pipeline.overlays
    assert title.text == "Café {x}"
    assert Path(logo.image).is_absolute() and Path(logo.image).is_file()
    assert type(made).model_validate_json(made.model_dump_json()) == made


def test_problems_of_pictures_and_of_targets_come_together(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(FIXED + "cards: {end: {image: a.png}}\noverlays: [{kind: image, image: b.png}]\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "live").symlink_to(tmp_path)
    with pytest.raises(RequestError) as caught:
        order(tmp_path, pipeline=str(path))
    assert [place for place, _ in caught.value.problems] == ["overlays[0].image", "cards.end.image", "sinks[1].to"]


def test_another_layout_can_be_asked_for(tmp_path):
    assert order(tmp_path, layout="speaker").pipeline.layout.kind == "speaker"
