"""The sink of tracks: real frames of made-up participants, and what is in the files it makes of them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import av
import pytest

from egress.model.errors import DestinationError
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos, Size
from egress.model.outputs import TracksDoc
from egress.model.passing import Anchor, Passed, TrackFrame, TrackHushed, TrackLeft, TrackTaken
from egress.model.room import Peer, Track, TrackSource
from egress.model.trackfiles import FileRow
from egress.sinks.base import PAUSE, RESUME, Mark, SinkContext
from egress.sinks.trackfile import Form
from egress.sinks.tracks import TracksSink
from tests.tracks import document
from tests.unit.feeding import luma, opus, picture, tone, video

ADA, BOB = Peer("1", "Ada", "host"), Peer("2", "Ada")
STEP = SECOND // 30
SMALL, SMALLER = Size(64, 48), Size(48, 32)


@cache
def pictures(codec: Codec = Codec.VP8, size: Size = SMALL) -> list[tuple[bytes, bool]]:
    """Two seconds, a keyframe each second."""
    return video([picture(size, 60 + n) for n in range(60)], codec, keys=30)


@cache
def sounds() -> list[bytes]:
    return opus(tone(440, 2.0))


class Keeper:
    """A tracks sink and the participants it hears of; `asked` counts requests for keyframes."""

    def __init__(self, folder: Path, per: str = "track") -> None:
        self.spool, self.out = folder / "spool", folder / "out" / "tracks"
        self.spool.mkdir(parents=True)
        doc = TracksDoc.model_validate({"kind": "tracks", "to": "tracks/", "per": per})
        started = datetime(2026, 1, 31, 17, 45, tzinfo=UTC)
        context = SinkContext("job-1", "local:x", "A title", started, self.spool, str(self.out), lambda event: None)
        self.sink = TracksSink(doc, context)
        self.sink.open(())
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1

    def take(self, track: str, peer: Peer = ADA, source: TrackSource = TrackSource.CAMERA, at: Nanos = 0) -> None:
        kind: Any = "audio" if source in (TrackSource.MIC, TrackSource.SCREEN_AUDIO) else "video"
        self.sink.pass_on(Passed((TrackTaken(Track(track, peer.id, kind, source), peer, at, self._ask),)))

    def leave(self, track: str, at: Nanos = 0) -> None:
        self.sink.pass_on(Passed((TrackLeft(track, at),)))

    def see(
        self,
        track: str,
        at: Nanos,
        count: int = 30,
        *,
        first: int = 0,
        codec: Codec = Codec.VP8,
        size: Size = SMALL,
        stream: int = 1,
        **changes: Any,
    ) -> None:
        """Pictures from session time `at` on; `changes` are of the first frame."""
        for n, (data, key) in enumerate(pictures(codec, size)[first : first + count]):
            when = at + n * STEP
            frame = EncodedFrame(
                codec, data, when * 90_000 // SECOND, when, key, stream=stream, **(changes if not n else {})
            )
            self.sink.pass_on(Passed((TrackFrame(track, frame, when),)))

    def hear(self, track: str, at: Nanos, count: int = 50, *, stream: int = 2) -> None:
        for n, data in enumerate(sounds()[:count]):
            when = at + n * 20 * MILLISECOND
            frame = EncodedFrame(Codec.OPUS, data, when * 48_000 // SECOND, when, True, stream=stream)
            self.sink.pass_on(Passed((TrackFrame(track, frame, when),)))

    def both(self, camera: str, mic: str, at: Nanos, *, codec: Codec = Codec.VP8, mic_stream: int = 2) -> None:
        """A second of both, as they come: 30 pictures, 50 packets."""
        for n in range(10):
            self.see(camera, at + n * 3 * STEP, 3, first=n * 3, codec=codec)
            self.hear(mic, at + n * 100 * MILLISECOND, 5, stream=mic_stream)

    def made(self) -> dict[str, FileRow]:
        """Close and deliver; the rows of what was made."""
        (artifact,) = self.sink.deliver(self.sink.close())
        assert artifact.kind == "tracks"
        rows = document(self.out).files
        assert {row.name for row in rows} | {"tracks.json"} == {path.name for path in self.out.iterdir()}
        return {row.name: row for row in rows}


def decoded(path: Path) -> dict[str, list[float]]:
    """The times of all that decodes, by kind; nothing in the file is broken."""
    found: dict[str, list[float]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            for frame in packet.decode():
                found.setdefault(packet.stream.type, []).append(float(frame.time))
    return found


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


@pytest.fixture
def together(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path, "participant")


@pytest.mark.parametrize(("codec", "name"), [(Codec.VP8, "ada-camera-1.webm"), (Codec.H264, "ada-camera-1.mp4")])
def test_a_picture_is_kept_as_it_was_sent_and_plays_from_its_own_beginning(
    keeper: Keeper, codec: Codec, name: str
) -> None:
    keeper.take("v")
    keeper.see("v", 5 * SECOND, 60, codec=codec)
    row = keeper.made()[name]
    assert (row.peer.name, row.peer.role, row.start, row.end) == ("Ada", "host", 5.0, 7.0)
    assert (row.streams[0].size, row.streams[0].frames, row.streams[0].codec) == ("64x48", 60, codec)
    times = decoded(keeper.out / name)["video"]
    assert len(times) == 60
    assert times == pytest.approx([n / 30 for n in range(60)], abs=0.001)
    with av.open(str(keeper.out / name)) as container:
        assert float(container.duration or 0) / av.time_base == pytest.approx(2.0, abs=0.05)
        container.seek(1_500_000)
        assert next(iter(container.decode(video=0))).time == pytest.approx(1.0, abs=0.01)


def test_sound_is_placed_where_it_was_captured_not_where_a_decoder_gives_it(keeper: Keeper) -> None:
    keeper.take("a", source=TrackSource.MIC)
    keeper.hear("a", 3 * SECOND)
    row = keeper.made()["ada-mic-1.webm"]
    assert row.start == pytest.approx(3 - 0.0065)
    assert len(decoded(keeper.out / row.name)["audio"]) == 50


def test_people_of_one_name_and_all_their_tracks_have_files_of_their_own(keeper: Keeper) -> None:
    sources = (TrackSource.CAMERA, TrackSource.SCREEN)
    for peer in (ADA, BOB, Peer("3", "../Émile?"), Peer("4", "")):
        for source in sources:
            track = f"{peer.id}-{source}"
            keeper.take(track, peer, source)
            keeper.see(track, SECOND, 5)
    names = sorted(keeper.made())
    assert names[:4] == ["4-camera-1.webm", "4-screen-1.webm", "ada-camera-1.webm", "ada-screen-1.webm"]
    assert names[4:6] == ["ada.2-camera-1.webm", "ada.2-screen-1.webm"]
    assert len(names) == 8 and not any(name.startswith(".") or "/" in name for name in names)


def test_what_is_published_anew_is_in_the_next_file(keeper: Keeper) -> None:
    keeper.take("v1")
    keeper.see("v1", SECOND)
    keeper.leave("v1")
    keeper.take("v2")
    keeper.see("v2", 5 * SECOND, codec=Codec.H264)
    rows = keeper.made()
    assert [(name, row.start, row.streams[0].track) for name, row in rows.items()] == [
        ("ada-camera-1.webm", 1.0, "v1"),
        ("ada-camera-2.mp4", 5.0, "v2"),
    ]


@pytest.mark.parametrize("change", [{"stream": 9}, {"codec": Codec.H264}, {"at": 1}], ids=["ssrc", "codec", "back"])
def test_a_sender_that_begins_anew_begins_another_file(keeper: Keeper, change: dict[str, Any]) -> None:
    keeper.take("v")
    keeper.see("v", 2 * SECOND)
    keeper.see("v", **{"at": 3 * SECOND, **change})
    rows = tuple(keeper.made().values())
    assert [len(decoded(keeper.out / row.name)["video"]) for row in rows] == [30, 30]


def test_another_size_is_another_file_for_h264_and_goes_on_in_vp8(keeper: Keeper) -> None:
    for track, codec, source in (("v", Codec.VP8, TrackSource.CAMERA), ("h", Codec.H264, TrackSource.SCREEN)):
        keeper.take(track, source=source)
        keeper.see(track, SECOND, codec=codec)
        keeper.see(track, 2 * SECOND, codec=codec, size=SMALLER)
    rows = keeper.made()
    assert sorted(rows) == ["ada-camera-1.webm", "ada-screen-1.mp4", "ada-screen-2.mp4"]
    assert [rows[name].streams[0].size for name in sorted(rows)] == ["64x48", "64x48", "48x32"]
    assert len(decoded(keeper.out / "ada-camera-1.webm")["video"]) == 60


def test_h264_that_only_encodes_otherwise_goes_on_in_its_file(keeper: Keeper) -> None:
    """Another encoder of one size, with parameter sets of its own."""
    other = video([picture(SMALL, 200) for _ in range(30)], Codec.H264, keys=10, qp="40")
    heads = {Form.of(EncodedFrame(Codec.H264, data[0][0], 0, 0, True)).head for data in (other, pictures(Codec.H264))}
    assert len(heads) == 2
    keeper.take("v")
    keeper.see("v", SECOND, codec=Codec.H264)
    for n, (data, key) in enumerate(other):
        when = 2 * SECOND + n * STEP
        frame = EncodedFrame(Codec.H264, data, when * 90_000 // SECOND, when, key, stream=1)
        keeper.sink.pass_on(Passed((TrackFrame("v", frame, when),)))
    keeper.see("v", 3 * SECOND, codec=Codec.H264)
    assert list(keeper.made()) == ["ada-camera-1.mp4"]
    with av.open(str(keeper.out / "ada-camera-1.mp4")) as container:
        seen = [luma(frame) for frame in container.decode(video=0)]
    assert len(seen) == 90
    assert all(abs(value - 200) < 6 for value in seen[30:60]) and all(value < 110 for value in seen[:30] + seen[60:])


def test_after_a_loss_it_goes_on_at_the_next_keyframe_asked_for_and_the_gap_is_told(keeper: Keeper) -> None:
    keeper.take("v")
    keeper.see("v", SECOND, 10)
    keeper.see("v", SECOND + 12 * STEP, 18, first=12, gap=True)
    assert keeper.asked >= 18
    keeper.see("v", 2 * SECOND, 30, first=30)
    (stream,) = keeper.made()["ada-camera-1.webm"].streams
    assert (stream.frames, stream.lost.gaps, stream.lost.undecodable) == (40, 1, 18)
    assert [(round(gap.since, 2), gap.to) for gap in stream.gaps] == [(1.3, 2.0)]


def test_a_track_that_is_joined_in_the_middle_begins_at_a_keyframe(keeper: Keeper) -> None:
    keeper.take("v")
    keeper.see("v", SECOND, 10, first=5)
    assert keeper.asked == 10
    keeper.see("v", 2 * SECOND, 5, first=30)
    assert keeper.made()["ada-camera-1.webm"].start == 2.0


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        (Codec.VP8, b"\0\0\0\x9d\x01\x2a"),
        (Codec.VP8, b"\0\0\0\x9d\x01\x2a\0\0\0\0"),
        (Codec.H264, b"\0\0\0\1\x65\x88"),
        (Codec.H264, b"\0\0\0\1\x67\x42\0\0\0\1\x68\xce\0\0\0\1\x65\x88"),
        (Codec.H264, b"\0\0\0\1\x67\x42\xe0\x1f\x80\0\0\0\1\x68\xce\0\0\0\1\x65\x88"),
        (Codec.H264, b"\0\0\0\1\x67\x42\xe0\x1f" + b"\xff" * 70_000 + b"\0\0\0\1\x68\xce\0\0\0\1\x65\x88"),
    ],
    ids=["short", "no size", "no sets", "short set", "cut set", "huge set"],
)
def test_a_broken_keyframe_is_left_out_and_harms_nobody(keeper: Keeper, codec: Codec, data: bytes) -> None:
    keeper.take("v")
    keeper.take("w", source=TrackSource.SCREEN)
    keeper.sink.pass_on(Passed((TrackFrame("v", EncodedFrame(codec, data, 0, 0, True, stream=1), 0),)))
    keeper.see("v", SECOND)
    keeper.see("w", SECOND)
    rows = keeper.made()
    assert [row.streams[0].frames for row in rows.values()] == [30, 30]
    assert rows["ada-camera-1.webm"].streams[0].lost.undecodable == 1


def test_mutes_are_told(keeper: Keeper) -> None:
    keeper.take("v")
    keeper.see("v", SECOND)
    for at, muted in ((3, True), (4, True), (6, False), (8, True)):
        keeper.sink.pass_on(Passed((TrackHushed("v", muted, at * SECOND),)))
    (stream,) = keeper.made()["ada-camera-1.webm"].streams
    assert [(span.since, span.to) for span in stream.muted] == [(3.0, 6.0), (8.0, None)]


def test_a_pause_is_in_no_file_and_what_follows_begins_the_next(keeper: Keeper) -> None:
    keeper.take("v")
    keeper.see("v", SECOND, 15)
    keeper.sink.mark(Mark(SECOND + 20 * STEP, PAUSE, "Paused"))
    keeper.see("v", SECOND + 15 * STEP, 15, first=15)
    keeper.sink.mark(Mark(3 * SECOND, RESUME, "Resumed"))
    keeper.see("v", 3 * SECOND, 10, first=10)
    keeper.see("v", 4 * SECOND, 30, first=30)
    first, second = keeper.made().values()
    assert (first.streams[0].frames, second.streams[0].frames) == (20, 30)
    assert (first.end, second.start) == (pytest.approx(1 + 20 / 30), 4.0)
    assert (second.streams[0].lost.paused, second.streams[0].lost.undecodable) == (10, 10)


@pytest.mark.parametrize(("codec", "name"), [(Codec.VP8, "ada-1.webm"), (Codec.H264, "ada-1.mp4")])
def test_a_participants_camera_and_microphone_share_a_file(together: Keeper, codec: Codec, name: str) -> None:
    for track, source in (("v", TrackSource.CAMERA), ("a", TrackSource.MIC), ("s", TrackSource.SCREEN)):
        together.take(track, source=source)
    together.both("v", "a", 2 * SECOND, codec=codec)
    together.see("s", 2 * SECOND)
    rows = together.made()
    assert sorted(rows) == [name, "ada-screen-1.webm"]
    assert rows[name].start == pytest.approx(2 - 0.0065)
    found = decoded(together.out / name)
    assert (len(found["video"]), len(found["audio"])) == (30, 50)
    assert found["video"][0] - found["audio"][0] == pytest.approx(0.0065, abs=0.002)


def test_a_camera_that_comes_later_begins_another_file_and_no_sound_is_lost(together: Keeper) -> None:
    together.take("a", source=TrackSource.MIC)
    together.hear("a", SECOND)
    together.take("v")
    together.both("v", "a", 2 * SECOND)
    rows = together.made()
    assert {name: [s.frames for s in row.streams] for name, row in rows.items()} == {
        "ada-1.webm": [50],
        "ada-2.webm": [30, 50],
    }


def test_a_microphone_published_anew_takes_the_picture_along_at_its_next_keyframe(together: Keeper) -> None:
    together.take("v")
    together.take("a", source=TrackSource.MIC)
    together.both("v", "a", SECOND)
    together.take("b", source=TrackSource.MIC)
    together.hear("b", 2 * SECOND, 5)
    asked = together.asked
    together.see("v", 2 * SECOND, 3, first=1)
    assert asked > 0
    together.see("v", 2 * SECOND + 3 * STEP, 10, first=30)
    rows = tuple(together.made().values())
    assert [{s.track: s.frames for s in row.streams} for row in rows] == [{"v": 33, "a": 50}, {"b": 5, "v": 10}]
    assert sum(s.lost.undecodable for row in rows for s in row.streams) == 0


def test_a_muted_microphone_keeps_its_place_in_the_file(together: Keeper) -> None:
    together.take("v")
    together.take("a", source=TrackSource.MIC)
    together.sink.pass_on(Passed((TrackHushed("a", True, 0),)))
    together.see("v", SECOND, 60)
    together.sink.pass_on(Passed((TrackHushed("a", False, 3 * SECOND),)))
    together.hear("a", 3 * SECOND)
    (row,) = together.made().values()
    assert {s.kind: s.frames for s in row.streams} == {"video": 60, "audio": 50}
    assert [(m.since, m.to) for s in row.streams for m in s.muted] == [(1.0, 3.0)]


def test_what_is_known_later_of_a_tracks_time_is_told_for_all_of_its_file(keeper: Keeper) -> None:
    keeper.take("v")
    for second in range(20):
        keeper.see("v", (1 + second) * SECOND, 30)
        at = (1 + second) * SECOND + 29 * STEP
        late = 80 * MILLISECOND if second >= 3 else 0
        keeper.sink.pass_on(Passed((Anchor("v", at * 90_000 // SECOND, at, at - late, 0, 2 if late else 0),)))
    (stream,) = keeper.made()["ada-camera-1.webm"].streams
    for at, time in stream.sync:
        assert time == pytest.approx(1 + at - 0.08, abs=0.002)


def killed(keeper: Keeper) -> Path:
    """The spool as a killed process leaves it."""
    left = keeper.spool.with_name("left")
    shutil.copytree(keeper.spool, left)
    return left


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_what_a_dead_process_left_is_made_whole(together: Keeper, codec: Codec) -> None:
    together.take("v")
    together.take("a", source=TrackSource.MIC)
    for second in range(8):
        together.both("v", "a", (1 + second) * SECOND, codec=codec)
    left = killed(together)
    (unfinished,) = (left / "tracks").iterdir()
    assert decoded(unfinished)["video"][-1] > 8 - 2
    (artifact,) = TracksSink.recover(left, str(together.out))
    assert artifact.location.rstrip("/") == str(together.out)
    (row,) = document(together.out).files
    assert row.recovered and row.start == pytest.approx(1 - 0.0065) and row.end > 9 - 2
    with av.open(str(together.out / row.name)) as container:
        assert float(container.duration or 0) / av.time_base == pytest.approx(row.end - row.start, abs=0.1)
    assert TracksSink.recover(left, str(together.out))[0].details == artifact.details
    together.sink.abort()


def test_an_unreadable_file_is_kept_and_the_others_are_delivered(keeper: Keeper) -> None:
    keeper.take("v")
    keeper.take("s", source=TrackSource.SCREEN)
    for second in (1, 3):
        keeper.see("v", second * SECOND, 60)
        keeper.see("s", second * SECOND, 60)
    left = killed(keeper)
    (left / "tracks" / "ada-screen-1.webm").write_bytes(b"nothing of it")
    TracksSink.recover(left, str(keeper.out))
    assert [row.name for row in document(keeper.out).files] == ["ada-camera-1.webm"]
    assert (left / "ada-screen-1.webm").read_bytes() == b"nothing of it"
    keeper.sink.abort()


def test_a_journal_cut_short_tells_all_that_stands_before(keeper: Keeper) -> None:
    keeper.take("v")
    keeper.see("v", SECOND, 60)
    left = killed(keeper)
    with (left / "tracks.jsonl").open("a") as journal:
        journal.write(json.dumps({"name": "ada-camera-1.webm"})[:-4])
    TracksSink.recover(left, str(keeper.out))
    assert [row.start for row in document(keeper.out).files] == [1.0]
    keeper.sink.abort()


def test_a_disk_that_refuses_fails_the_sink_and_nothing_else(keeper: Keeper) -> None:
    keeper.take("v")
    keeper.see("v", SECOND, 5)
    shutil.rmtree(keeper.spool / "tracks")
    keeper.leave("v")
    keeper.take("w")
    with pytest.raises(DestinationError, match="cannot be written"):
        keeper.see("w", 2 * SECOND, 5)
    assert keeper.sink.abort() == ()


def test_nobody_at_all_still_leaves_a_document(keeper: Keeper) -> None:
    assert keeper.made() == {}
