"""What a job made goes with it, and nothing that another one made or has."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from egress.control import artifacts, job_moves, jobs, removal
from egress.control.jobs import Draft, KeptJob
from egress.control.removal import HLS, Place, places, remove
from egress.control.store import Store
from egress.model.errors import DestinationError
from egress.model.request import JobRequest
from egress.sinks import album, presentation
from egress.storage.local import LocalStorage


def test_the_names_are_those_that_sinks_give_their_files() -> None:
    assert set(removal.THUMBNAILS) == {*album._OURS, "thumbnails.json"}
    live = (presentation.INDEX, presentation.OWNER, f"{presentation.IFRAMES}.m3u8", f"{presentation.IFRAMES}-1.m3u8")
    media = (f"video/{presentation.INIT}", "video-2/init-2.mp4", "audio/1.m4s", f"{presentation.CAPTIONS}-en/1.vtt")
    lists = ("video.m3u8", "video-3.m3u8", "audio.m3u8", f"{presentation.CAPTIONS}-pt-br.m3u8")
    for name in (*live, *media, *lists):
        assert any(fnmatchcase(name, pattern) for pattern in HLS), name


@pytest.fixture
def job(store: Store) -> KeptJob:
    with store.writing() as connection:
        return make(connection, store, "job-1")


def make(connection: Any, store: Store, id_: str, to: str = "s3://b/elsewhere/") -> KeptJob:
    draft = Draft(
        id_,
        JobRequest(room="local:a", pipeline="p"),
        "p",
        "me",
        server="srv_1",
        pipeline_doc={"pipeline": {"sinks": [{"kind": "hls", "to": to}]}},
    )
    return jobs.create(connection, store.sealer, draft).job


def made(connection: Any, job: str, kind: str, location: str, **more: Any) -> None:
    artifacts.add(connection, job, artifacts.of_row({"kind": kind, "location": location, "size": 4, **more}))


def test_all_that_a_job_made_is_found(store: Store, job: KeptJob) -> None:
    with store.writing() as connection:
        made(connection, "job-1", "mp4", "/out/a.mp4")
        made(connection, "job-1", "hls", "s3://b/live/a/index.m3u8")
        made(connection, "job-1", "tracks", "/out/tracks/a/", files=[{"name": "ada.webm"}], elsewhere=["/back/x.webm"])
        job_moves.set_live(connection, "job-1", {"manifest": "/out/a.json"})
        found = places(connection, store.sealer, jobs.get(connection, "job-1"))
    assert {one.location for one in found} == {
        "/out/a.mp4",
        "s3://b/live/a/",
        "/out/tracks/a/",
        "/back/x.webm",
        "/out/a.json",
    }
    by_place = {one.location: one for one in found}
    assert by_place["/out/a.mp4"].size == 4 and by_place["s3://b/live/a/"].names == HLS
    assert by_place["/out/tracks/a/"].names == ("tracks.json", "ada.webm")
    assert {one.others for one in found} == {()}


def test_what_another_job_made_or_is_making_in_the_same_place_stays(store: Store, job: KeptJob, tmp_path: Path) -> None:
    with store.writing() as connection:
        make(connection, store, "job-2", to="s3://b/live/b/")
        made(connection, "job-1", "hls", "s3://b/live/a/index.m3u8")
        made(connection, "job-1", "hls", "s3://b/live/b/index.m3u8")
        made(connection, "job-1", "mp4", "/out/a_b.mp4")
        made(connection, "job-2", "hls", "s3://b/live/a/index.m3u8")
        made(connection, "job-2", "mp4", "/out/a-b.mp4")
        found = places(connection, store.sealer, job)
    assert {one.location: one.others for one in found} == {
        "s3://b/live/a/": ("job-2",),
        "s3://b/live/b/": ("job-2",),
        "/out/a_b.mp4": (),
    }
    left = remove([one for one in found if one.others], tmp_path, "job-1", {})
    assert [why for _, why in left] == ["it is of job job-2 as well"] * 2


def test_only_what_is_still_the_jobs_own_goes_from_the_output_folder(tmp_path: Path) -> None:
    root = tmp_path / "out"
    files = {
        "out/a.mp4": "mine",
        "out/b.mp4": "somebody else's",
        "out/live/mine/.job": "job-1",
        "out/live/mine/index.m3u8": "",
        "out/live/mine/video/1.m4s": "",
        "out/live/mine/notes.txt": "",
        "out/live/theirs/.job": "job-2",
        "out/live/theirs/index.m3u8": "",
        "out/a.json": '{"job": "job-1"}',
        "out/b.json": '{"job": "job-2"}',
        "outside.mp4": "mine",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (root / "link").symlink_to(tmp_path / "outside.mp4")
    asked = [
        Place(f"{root}/a.mp4", size=4),
        Place(f"{root}/b.mp4", size=4),
        Place(f"{root}/live/mine/", HLS),
        Place(f"{root}/live/theirs/", HLS),
        Place(f"{root}/a.json"),
        Place(f"{root}/b.json"),
        Place(f"{tmp_path}/outside.mp4", size=4),
        Place(f"{root}/link", size=4),
        Place(f"{root}/", HLS),
        Place(f"{root}/gone.mp4", size=4),
    ]
    left = dict(remove(asked, root, "job-1", {}))
    assert {Path(place).relative_to(tmp_path).as_posix() for place in left} == {
        "out/b.mp4",
        "out/live/theirs",
        "out/b.json",
        "outside.mp4",
        "out/link",
        "out",
    }
    assert left[f"{root}/live/theirs/"] == "it is of job job-2 by now"
    gone = {"out/a.mp4", "out/live/mine/.job", "out/live/mine/index.m3u8", "out/live/mine/video/1.m4s", "out/a.json"}
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {*files, "out/link"} - gone


def test_what_never_came_to_its_place_goes_from_the_jobs_own_folder(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "spool" / "job-1", tmp_path / "spool" / "job-2"
    for folder in (mine, theirs):
        (folder / "mp4").mkdir(parents=True)
        (folder / "mp4" / "a.mp4").write_text("mine")
    asked = [Place(f"{folder}/mp4/a.mp4", size=4) for folder in (mine, theirs)]
    left = remove(asked, tmp_path / "out", "job-1", {}, spooled=mine)
    assert left == [(f"{theirs}/mp4/a.mp4", "it is outside of the output folder")]
    assert not (mine / "mp4" / "a.mp4").exists() and (theirs / "mp4" / "a.mp4").exists()


def test_what_another_server_has_is_named(tmp_path: Path) -> None:
    (tmp_path / "shared.mp4").write_text("mine")
    asked = [Place(f"{tmp_path}/shared.mp4", size=4), Place(f"{tmp_path}/there.mp4", size=4)]
    assert remove(asked, tmp_path, "job-1", {}, holder="srv_2") == [
        (f"{tmp_path}/there.mp4", "it is not on this machine; ask the server that ran the job, srv_2")
    ]


def test_a_disk_or_store_that_says_no_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: LocalStorage, to: str, names: object) -> None:
        raise DestinationError(f"{to} cannot be removed: Read-only file system")

    monkeypatch.setattr(LocalStorage, "remove", refuse)
    ((place, why),) = remove([Place(f"{tmp_path}/a.mp4")], tmp_path, "job-1", {})
    assert place == f"{tmp_path}/a.mp4" and "Read-only" in why
    ((place, why),) = remove([Place("ftp://host/a.mp4")], tmp_path, "job-1", {})
    assert "ftp" in why
