"""A presentation is ended from its files alone, whatever is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from egress.model.media import SECOND
from egress.model.outputs import HlsDoc
from egress.sinks.base import Mark
from egress.sinks.hls import HlsSink
from tests.flashes import context, offsets, programme, served
from tests.hls_checker import check


def _orphan(tmp_path: Path, seconds: float, **changes: object) -> Path:
    """A presentation whose process is gone."""
    doc = HlsDoc(kind="hls", to="x", segment="2s").model_copy(update=changes)
    sink = HlsSink(doc, context(tmp_path / "spool", tmp_path / "hls"))
    show = programme(seconds, b_frames=2)
    sink.open(show.streams)
    sink.mark(Mark(SECOND, "join", "Ada"))
    for packet in show.packets:
        sink.write(packet)
    return tmp_path / "hls"


def _recovered(tmp_path: Path) -> set[str]:
    (artifact,) = HlsSink.recover(tmp_path / "spool", str(tmp_path / "hls"))
    assert max(map(abs, offsets(artifact.location))) < 1
    return broken(tmp_path / "hls")


def broken(folder: Path) -> set[str]:
    """The rules it breaks."""
    with served(folder) as address:
        return {violation.rule for violation in check(f"{address}/index.m3u8") if not violation.should}


def sequence(folder: Path, name: str) -> int:
    """The number of the first entry of a playlist."""
    return int((folder / f"{name}.m3u8").read_text().partition("#EXT-X-MEDIA-SEQUENCE:")[2].partition("\n")[0])


def test_b_frames_keep_their_dates_and_times(tmp_path: Path) -> None:
    folder = _orphan(tmp_path, 6.7)
    dates = [line for line in (folder / "video.m3u8").read_text().splitlines() if "DATE-TIME" in line]
    assert _recovered(tmp_path) == set()
    ended = (folder / "video.m3u8").read_text()
    assert all(date in ended for date in dates)


def test_a_segment_that_is_lost_becomes_a_gap(tmp_path: Path) -> None:
    folder = _orphan(tmp_path, 6.7)
    (folder / "video" / "seg-1.m4s").unlink()
    assert _recovered(tmp_path) <= {"A8.2"}
    text = (folder / "video.m3u8").read_text()
    assert text.index("#EXT-X-GAP") < text.index("video/seg-1.m4s") < text.index("video/seg-2.m4s")
    assert "#EXT-X-VERSION:8" in text


def test_parts_after_one_that_is_lost_are_left_out(tmp_path: Path) -> None:
    folder = _orphan(tmp_path, 7.9)
    (folder / "video" / "seg-3.1.m4s").unlink()
    assert _recovered(tmp_path) <= {"A8.2"}
    assert (folder / "video" / "seg-3.m4s").read_bytes() == (folder / "video" / "seg-3.0.m4s").read_bytes()


def test_a_sliding_playlist_keeps_its_numbers_and_type(tmp_path: Path) -> None:
    folder = _orphan(tmp_path, 32, playlist="sliding", window=4 * SECOND)
    before = {name: sequence(folder, name) for name in ("video", "audio", "iframes")}
    assert before["video"] > 6
    (artifact,) = HlsSink.recover(tmp_path / "spool", str(folder))
    # The sound of the first second fades in, as the listing begins there.
    assert max(map(abs, offsets(artifact.location)[1:])) < 1
    assert broken(folder) == set()
    assert {name: sequence(folder, name) for name in before} == before
    kept = min(int(path.name.split("-")[1].split(".")[0]) for path in (folder / "video").glob("seg-*.m4s"))
    assert kept == before["video"], "what nobody can want is gone"
    text = (folder / "video.m3u8").read_text()
    assert "#EXT-X-PLAYLIST-TYPE" not in text
    assert text.endswith("#EXT-X-ENDLIST\n")


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_one_rendition_without_media_does_not_keep_the_other_from_being_ended(tmp_path: Path, kind: str) -> None:
    folder = _orphan(tmp_path, 4.7)
    for path in (folder / kind).iterdir():
        path.unlink()
    (artifact,) = HlsSink.recover(tmp_path / "spool", str(folder))
    other = {"video": "audio", "audio": "video"}[kind]
    assert f"{kind}.m3u8" not in (folder / "index.m3u8").read_text()
    assert (folder / f"{other}.m3u8").read_text().endswith("#EXT-X-ENDLIST\n")
    assert artifact.duration > 4 * SECOND


def test_a_folder_without_any_media_gives_nothing(tmp_path: Path) -> None:
    folder = _orphan(tmp_path, 0.2)
    assert HlsSink.recover(tmp_path / "spool", str(folder)) == ()
