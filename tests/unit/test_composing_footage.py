"""What there is to compose: times that are mapped, cuts, and what manifests, tracks.json and plain folders say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from egress.composing.footage import Clip, Footage, Sync
from egress.composing.source import footage_of
from egress.model.errors import RequestError
from egress.model.media import SECOND, Nanos
from egress.model.room import (
    ConnectionLost,
    Peer,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    RoomEvent,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from egress.model.trackfiles import TrackFiles
from tests.unit.filming import beeping, damaged, film

BEGAN = "2026-01-02T03:04:05+00:00"


def stream(track: str, kind: str = "video", **more: Any) -> dict[str, Any]:
    codec, source = ("h264", "camera") if kind == "video" else ("opus", "mic")
    lost = {"gaps": 0, "undecodable": 0, "paused": 0}
    known = {"track": track, "kind": kind, "source": source, "codec": codec, "frames": 1, "lost": lost}
    return known | {"sync": [], "muted": [], "gaps": [], "turns": []} | more


def row(name: str, peer: str, start: float, end: float, *streams: dict[str, Any]) -> dict[str, Any]:
    who = {"id": peer, "name": peer.title(), "role": "guest"}
    return {
        "name": name, "peer": who, "bytes": 1, "start": start, "end": end, "recovered": False, "streams": list(streams)
    }  # fmt: skip


def kept(folder: Path, *files: dict[str, Any], **more: Any) -> Path:
    """A folder of tracks; each file is a short one, whatever it says."""
    folder.mkdir(exist_ok=True)
    for file in files:
        film(folder / file["name"], 0.2)
    head = {"egress": "1", "job": "j", "room": "local:x", "title": "A talk", "attempt": 1, "started": BEGAN}
    document = {**head, "per": "track", "files": list(files), **more}
    TrackFiles.model_validate(document)
    (folder / "tracks.json").write_text(json.dumps(document))
    return folder


def manifest(folder: Path, *places: Path, **more: Any) -> Path:
    rows = [{"kind": "tracks", "location": f"{place}/", "size": 1, "duration": 1.0, "sha256": ""} for place in places]
    known = {
        "egress": "1", "job": "j", "room": "local:x", "title": "A talk", "pipeline": "p", "state": "finished",
        "reason": "", "blame": None, "started": BEGAN, "ended": BEGAN, "duration": 20.0, "attempts": [], "peers": [],
        "tracks": [], "uncounted_visits": 0, "gaps": [], "pauses": [], "streams": [], "loudness": None,
        "artifacts": rows, "drops": {"intakes": 0, "encoders": {}, "sinks": {}, "loudness": 0}, "figures": {},
    }  # fmt: skip
    path = folder / "talk.manifest.json"
    path.write_text(json.dumps(known | more))
    return path


def visit(id: str, joined: float, left: float | None = None, *roles: tuple[str, float]) -> dict[str, Any]:
    spans = [{"role": role, "since": since} for role, since in roles or (("guest", joined),)]
    return {"id": id, "name": id.title(), "role": spans[-1]["role"], "roles": spans, "joined": joined, "left": left}


def track(id: str, peer: str, published: float, unpublished: float | None = None, **more: Any) -> dict[str, Any]:
    known = {"id": id, "peer": peer, "kind": "video", "source": "camera", "codec": "h264", "muted": []}
    return known | {"published": published, "unpublished": unpublished} | more


def told(footage: Footage, *kinds: type[RoomEvent]) -> list[tuple[float, RoomEvent]]:
    return [(at / SECOND, event) for at, event in footage.happenings if isinstance(event, kinds)]


def seconds(*times: float) -> tuple[Nanos, ...]:
    return tuple(round(time * SECOND) for time in times)


def test_times_are_straight_between_points_and_at_rate_1_outside_them():
    sync = Sync((seconds(1, 11), seconds(3, 14)))
    assert [sync.session(at) for at in seconds(0, 1, 2, 3, 5)] == list(seconds(10, 11, 12.5, 14, 16))
    assert [sync.file(at) for at in seconds(10, 11, 12.5, 14, 16)] == list(seconds(0, 1, 2, 3, 5))


def test_what_is_cut_out_moves_all_that_follows_and_parts_what_goes_on_over_it():
    clip = Clip(Path("a"), "video", 0, Sync((seconds(0, 1),)), *seconds(1, 9))
    events = tuple((at, PeerLeft(str(at // SECOND))) for at in seconds(2, 5, 8))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    whole = Footage("t", "r", began, 10 * SECOND, events, {"a": (clip,)})
    cut = whole.without([seconds(4, 7)])
    assert (cut.length, cut.started) == (7 * SECOND, began)
    assert [at for at, _ in cut.happenings] == list(seconds(2, 4, 5))
    assert [(part.start, part.end) for part in cut.clips["a"]] == [seconds(1, 4), seconds(4, 6)]
    assert [part.sync.file(part.start) for part in cut.clips["a"]] == list(seconds(0, 6))


def test_a_cut_at_the_beginning_moves_the_date_as_well():
    clip = Clip(Path("a"), "video", 0, Sync(((0, 0),)), *seconds(0, 3))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    whole = Footage("t", "r", began, 10 * SECOND, ((0, PeerLeft("p")),), {"a": (clip,)})
    cut = whole.without([seconds(0, 4)])
    assert (cut.started.second, cut.length, cut.happenings[0][0], dict(cut.clips)) == (4, 6 * SECOND, 0, {})


def test_every_file_of_a_folder_is_a_participant_named_by_it(tmp_path):
    film(tmp_path / "Ada Lovelace.mp4", 2.0, sound=beeping(2.0), metadata={"creation_time": "2026-01-02T03:04:05Z"})
    film(tmp_path / "grace.webm", 1.0, codec="libvpx")
    film(tmp_path / "linus.m4a", 2.0, pictures=False, sound=beeping(2.0))
    (tmp_path / "notes.txt").write_text("hello")
    found = footage_of(tmp_path)
    assert [event.peer.name for _, event in told(found, PeerJoined)] == ["Ada Lovelace", "grace", "linus"]
    kinds = [(event.track.peer, event.track.kind) for _, event in told(found, TrackPublished)]
    assert kinds == [("Ada Lovelace.mp4", kind) for kind in ("video", "audio")] + [
        ("grace.webm", "video"),
        ("linus.m4a", "audio"),
    ]
    assert [(at, event.peer) for at, event in told(found, PeerLeft)] == [(pytest.approx(1.0, abs=0.05), "grace.webm")]
    assert found.length / SECOND == pytest.approx(2.0, abs=0.1)
    assert (found.title, found.started) == (tmp_path.name, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert found.left_out == ("notes.txt",)


def test_tracks_alone_say_who_was_there_and_what_was_muted(tmp_path):
    sync = [[0.0, 1.25], [4.0, 5.26]]
    ada = row("ada-1.mp4", "ada", 1.2, 9.0, stream("v1", sync=sync, muted=[{"from": 3.0, "to": 4.0}]))
    turned = stream("v2", turns=[{"at": 0.0, "degrees": 90}])
    grace = row("grace-1.mp4", "grace", 2.0, 6.0, turned)
    found = footage_of(kept(tmp_path / "tracks", ada, grace))
    assert [(at, event.peer) for at, event in told(found, PeerJoined)] == [
        (1.2, Peer("ada", "Ada")),
        (2.0, Peer("grace", "Grace")),
    ]
    assert [(at, event.peer) for at, event in told(found, PeerLeft)] == [(6.0, "grace")]
    assert [(at, event.muted) for at, event in told(found, TrackMuted)] == [(3.0, True), (4.0, False)]
    (clip,) = found.clips["v1"]
    assert (clip.sync.session(0), clip.start) == seconds(1.25, 1.2)
    assert [clip.turn(0) for clip in (*found.clips["v1"], *found.clips["v2"])] == [0, 90]
    assert (found.title, found.room, found.length) == ("A talk", "local:x", 9 * SECOND)


def test_camera_and_microphone_in_one_file_are_two_tracks_of_it(tmp_path):
    both = row("ada-1.mp4", "ada", 0.0, 5.0, stream("v1"), stream("a1", "audio"))
    found = footage_of(kept(tmp_path / "tracks", both))
    assert {id: (clip.kind, clip.stream) for id, (clip,) in found.clips.items()} == {
        "v1": ("video", 0),
        "a1": ("audio", 0),
    }


def test_a_manifest_says_when_peers_came_and_which_roles_they_had(tmp_path):
    folder = kept(tmp_path / "tracks", row("ada-1.mp4", "ada", 1.0, 19.0, stream("v1")))
    peers = [visit("ada", 0.5, None, ("guest", 0.5), ("host", 4.0)), visit("lurker", 2.0, 3.0)]
    muted = [{"from": 6.0, "to": None}]
    path = manifest(tmp_path, folder, peers=peers, tracks=[track("v1", "ada", 0.9, muted=muted)])
    found = footage_of(path)
    assert [(at, event.peer.id, event.peer.role) for at, event in told(found, PeerJoined)] == [
        (0.5, "ada", "guest"),
        (2.0, "lurker", "guest"),
    ]
    assert [(at, event.peer.role) for at, event in told(found, PeerChanged)] == [(4.0, "host")]
    assert [(at, event.peer) for at, event in told(found, PeerLeft)] == [(3.0, "lurker")]
    assert [(at, event.muted) for at, event in told(found, TrackMuted)] == [(6.0, True)]
    assert found.length == 20 * SECOND


def test_pauses_are_cut_out(tmp_path):
    files = row("a-1.mp4", "ada", 0.0, 5.0, stream("v1")), row("a-2.mp4", "ada", 8.0, 20.0, stream("v1"))
    folder = kept(tmp_path / "tracks", *files)
    pauses = [{"from": 5.0, "to": 8.0}]
    found = footage_of(manifest(tmp_path, folder, pauses=pauses, tracks=[track("v1", "ada", 0.0)]))
    assert found.length == 17 * SECOND
    assert [(clip.start, clip.end) for clip in found.clips["v1"]] == [seconds(0, 5), seconds(5, 17)]


def test_attempts_follow_each_other_without_the_time_between_them(tmp_path):
    one = kept(tmp_path / "tracks", row("ada-1.mp4", "ada", 0.0, 9.5, stream("v1")))
    # By its date it began 12 s after the first, by the monotonic clock of the manifest 12.5 s.
    again = row("ada-1.mp4", "ada", 0.5, 7.0, stream("v1"))
    two = kept(tmp_path / "tracks-2", again, attempt=2, started="2026-01-02T03:04:17+00:00")
    path = manifest(
        tmp_path,
        one,
        two,
        gaps=[{"from": 10.0, "to": 12.5, "reason": "the worker died"}, {"from": 15.0, "to": 16.0}],
        tracks=[track("v1", "ada", 0.0, 10.0), track("v1", "ada", 13.0)],
        peers=[visit("ada", 0.0, 10.0), visit("ada", 12.6)],
    )
    found = footage_of(path)
    published = [(at, event.track.id) for at, event in told(found, TrackPublished)]
    assert published == [(0.0, "v1"), (10.5, "2/v1")]
    assert [(at, event.track) for at, event in told(found, TrackUnpublished)] == [(10.0, "v1")]
    assert [(clip.start, clip.end) for clip in found.clips["2/v1"]] == [seconds(10.5, 17.0)]
    assert [at for at, _ in told(found, ConnectionLost)] == [12.5]
    assert found.length == seconds(17.5)[0]


def test_tracks_that_were_moved_are_found_beside_their_manifest(tmp_path):
    kept(tmp_path / "tracks", row("ada-1.mp4", "ada", 0.0, 5.0, stream("v1")))
    path = manifest(tmp_path, Path("/recordings/elsewhere/tracks"))
    assert footage_of(path).clips["v1"][0].path == tmp_path / "tracks" / "ada-1.mp4"


def refusal(path: Path) -> str:
    with pytest.raises(RequestError) as caught:
        footage_of(path)
    assert [field for field, _ in caught.value.problems] == ["source"]
    return caught.value.message


def test_what_cannot_be_composed_is_refused_with_the_fix(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no media files" in refusal(empty)
    assert "there is no" in refusal(tmp_path / "nothing")
    assert "name a manifest.json, or a folder" in refusal(film(tmp_path / "a.mp4", 0.2))
    (tmp_path / "b.json").write_text("{")
    assert "cannot be read" in refusal(tmp_path / "b.json")
    assert "kept no tracks" in refusal(manifest(tmp_path)) and "tracks-only" in refusal(manifest(tmp_path))
    remote = manifest(tmp_path, artifacts=[
        {"kind": "tracks", "location": "s3://bucket/tracks/", "size": 1, "duration": 1.0, "sha256": ""}
    ])  # fmt: skip
    assert "copy that folder to this machine" in refusal(remote)
    assert "put them there" in refusal(manifest(tmp_path, tmp_path / "gone"))


def test_a_broken_or_missing_file_is_named(tmp_path):
    film(tmp_path / "good.mp4", 0.2)
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    assert "bad.mp4 cannot be read" in refusal(tmp_path)
    folder = kept(tmp_path / "tracks", row("ada-1.mp4", "ada", 0.0, 5.0, stream("v1")))
    damaged(folder / "ada-1.mp4", 0.0, 100_000)
    assert "ada-1.mp4 cannot be read" in refusal(folder)
    (folder / "ada-1.mp4").unlink()
    assert "ada-1.mp4 is missing" in refusal(folder)


def test_a_document_of_another_version_is_refused(tmp_path):
    folder = kept(tmp_path / "tracks", row("ada-1.mp4", "ada", 0.0, 5.0, stream("v1")))
    document = json.loads((folder / "tracks.json").read_text())
    (folder / "tracks.json").write_text(json.dumps(document | {"per": "room"}))
    assert "of a version that cannot be read: per" in refusal(folder)
    assert "lists no files" in refusal(kept(tmp_path / "none"))
