"""Media lie in files of their own or in one that grows; what cannot be written is a gap, and no more."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from egress.model.errors import DestinationError
from egress.model.media import SECOND
from egress.sinks import mediafiles
from egress.sinks.hls import HlsSink
from egress.sinks.mediafiles import Patience
from tests.flashes import offsets, programme
from tests.unit.test_hls import Hls


def test_one_file_holds_a_rendition_and_every_range_is_right(tmp_path: Path) -> None:
    hls = Hls(tmp_path, single_file=True)
    hls.feed(programme(7.2, b_frames=2))
    assert hls.broken() == []
    size = (hls.folder / "video" / "media.m4s").stat().st_size
    assert f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="video/media.m4s",BYTERANGE-START={size}\n' in hls.text("video")
    (artifact,) = hls.sink.close()
    assert hls.broken() == []
    assert hls.files("video") == hls.files("audio") == {"init.mp4", "media.m4s"}
    ranges = [tuple(map(int, found)) for found in re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", hls.text("video"))]
    assert [offset for _, offset in ranges] == [sum(size for size, _ in ranges[:n]) for n in range(4)]
    assert max(map(abs, offsets(artifact.location))) < 1


@pytest.mark.parametrize(("cut", "left"), [(1, 4), (700, 3)])
def test_one_file_is_recovered_up_to_what_is_whole(tmp_path: Path, cut: int, left: int) -> None:
    hls = Hls(tmp_path, single_file=True)
    hls.feed(programme(7.2))
    media = hls.folder / "video" / "media.m4s"
    os.truncate(media, media.stat().st_size - cut)
    (artifact,) = HlsSink.recover(hls.spool, str(hls.folder))
    assert {text.split()[0] for text in hls.broken()} <= {"A8.2"}
    assert hls.text("video").count("#EXTINF") == left
    assert max(map(abs, offsets(artifact.location))) < 1


class Refusing:
    """A disk that takes none of the files a pattern names, a number of times."""

    def __init__(self, pattern: str, times: int) -> None:
        self._pattern, self._left = re.compile(pattern), times
        self._write = mediafiles.write_file

    def __call__(self, path: Path, data: bytes) -> None:
        if self._left and self._pattern.search(str(path)):
            self._left -= 1
            raise DestinationError(f"{path} cannot be written: No space left on device")
        self._write(path, data)


def test_a_part_that_cannot_be_written_is_a_gap_of_a_whole_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hls = Hls(tmp_path)
    monkeypatch.setattr(mediafiles, "write_file", Refusing(r"video/seg-1\.2\.m4s", 1))
    hls.feed(programme(5.2))
    assert 'URI="video/seg-1.2.m4s",GAP=YES' in hls.text("video")
    assert "#EXT-X-VERSION:8\n" in hls.text("video")
    assert hls.broken() == []
    hls.sink.close()
    assert hls.broken() == []
    assert "GAP" not in hls.text("video")


def test_a_segment_that_cannot_be_written_is_a_gap_and_the_stream_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hls = Hls(tmp_path)
    monkeypatch.setattr(mediafiles, "write_file", Refusing(r"video/seg-1\.m4s", 1))
    hls.feed(programme(6.2))
    text = hls.text("video")
    assert text.index("#EXT-X-GAP") < text.index("\nvideo/seg-1.m4s") < text.index("\nvideo/seg-2.m4s")
    assert hls.sink.status()["gaps"] == 1
    assert hls.broken() == []
    hls.sink.close()
    assert {text.split()[0] for text in hls.broken()} <= {"A8.2"}


def test_a_full_disk_is_one_files_trouble_for_a_while_and_then_the_sinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hls = Hls(tmp_path)
    monkeypatch.setattr(mediafiles, "write_file", Refusing("video/", 1000))
    with pytest.raises(DestinationError, match="No space left"):
        hls.feed(programme(8.7))


def test_one_file_that_could_not_be_written_gets_the_whole_segment_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hls = Hls(tmp_path, single_file=True)
    write, calls = os.pwrite, iter(range(1000))

    def full(handle: int, data: bytes, at: int) -> int:
        # Half of it is written, as on a disk that fills up.
        if next(calls) == 9:
            write(handle, data[: len(data) // 2], at)
            raise OSError(28, "No space left on device")
        return write(handle, data, at)

    monkeypatch.setattr(mediafiles.os, "pwrite", full)
    hls.feed(programme(6.2))
    assert sum(hls.text(name).count("GAP=YES") for name in ("video", "audio")) == 1
    assert hls.broken() == []
    HlsSink.recover(hls.spool, str(hls.folder))
    assert hls.broken() == []
    assert "GAP" not in hls.text("video") + hls.text("audio")


def test_patience_ends_when_nothing_went_well_for_long_enough() -> None:
    patience, error = Patience(6 * SECOND), DestinationError("full")
    for at in (0, 5):
        patience.failed(error, at * SECOND)
    patience.well()
    patience.failed(error, 7 * SECOND)
    with pytest.raises(DestinationError, match="full"):
        patience.failed(error, 13 * SECOND)
