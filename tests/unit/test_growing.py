"""Pieces of a recording are joined while the last of them is written, and it costs nothing where that cannot be."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from egress.model.media import Codec
from egress.model.outputs import Mp4Doc
from egress.sinks import growing
from egress.sinks.joining import EMPTY, Piece, join
from egress.sinks.mp4 import Mp4Sink
from tests.flashes import Programme, context, feed, programme

DOC = Mp4Doc(kind="mp4", to="x.mp4")
PATIENCE = 60.0


def attempt(tmp_path: Path, number: int, show: Programme) -> Mp4Sink:
    """The MP4 sink of one attempt, fed and not closed."""
    sink = Mp4Sink(DOC, replace(context(tmp_path / "spool", tmp_path / "out.mp4"), attempt=number))
    feed(sink, show)
    return sink


def grown(tmp_path: Path, beyond: int) -> None:
    """Wait for the whole to be larger than that."""
    whole, limit = tmp_path / "spool" / "joined.mp4", time.monotonic() + PATIENCE
    while not whole.exists() or whole.stat().st_size <= beyond:
        assert time.monotonic() < limit, "the whole does not grow"
        time.sleep(0.01)


def test_the_whole_grows_beside_the_last_piece_and_is_the_very_one_a_later_join_makes(tmp_path: Path) -> None:
    attempt(tmp_path, 1, programme(4)).close()
    first = (tmp_path / "spool" / "recording.mp4").stat().st_size
    last = attempt(tmp_path, 2, programme(12))
    grown(tmp_path, first + EMPTY)
    made = last.close()
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "spool", other)
    assert join(other)
    seen = growing_of(last)
    assert seen.finish(last._packets), "it was whole without another join"
    last.deliver(made)
    assert (tmp_path / "out.mp4").read_bytes() == (other / "recording.mp4").read_bytes()
    assert not list((tmp_path / "spool").glob("joined*"))


def growing_of(sink: Mp4Sink) -> growing.GrowingJoin:
    assert sink._growing is not None
    return sink._growing


def test_without_room_for_it_twice_the_pieces_are_joined_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt(tmp_path, 1, programme(3)).close()
    monkeypatch.setattr(growing, "ROOM", 1 << 62)
    last = attempt(tmp_path, 2, programme(3))
    made = last.close()
    assert not growing_of(last).finish(last._packets)
    assert not (tmp_path / "spool" / "joined.mp4").exists()
    (artifact,) = last.deliver(made)
    assert abs(artifact.duration / 1e9 - 6) < 0.1


def test_a_job_given_up_keeps_its_pieces_and_one_upload(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    attempt(tmp_path, 1, programme(3)).close()
    noted = {"upload": "one"}
    (spool / "recording.mp4.upload.json").write_text(json.dumps(noted))
    last = attempt(tmp_path, 2, programme(3))
    assert json.loads((spool / "joined.mp4.upload.json").read_text()) == noted, "it goes on with the whole"
    last.abort()
    assert join(spool)
    assert json.loads((spool / "recording.mp4.upload.json").read_text()) == noted
    assert not list(spool.glob("joined*")) and not list(spool.glob("recording-*"))


def test_a_piece_that_was_closed_before_the_whole_came_to_it_is_in_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came, on = threading.Event(), threading.Event()
    opened = growing.GrowingJoin._opened

    def held(self: growing.GrowingJoin, piece: Piece) -> Any:
        if piece.attempt == 2:
            came.set()
            assert on.wait(PATIENCE)
        return opened(self, piece)

    monkeypatch.setattr(growing.GrowingJoin, "_opened", held)
    attempt(tmp_path, 1, programme(4, sound=Codec.OPUS)).close()
    last = attempt(tmp_path, 2, programme(3, sound=Codec.OPUS))
    assert came.wait(PATIENCE)
    made = last.close()
    on.set()
    # Long enough for a reader that asks too early to have been told that it had all.
    growing_of(last)._thread.join(0.5)
    assert growing_of(last).finish(last._packets), "it was whole without another join"
    last.deliver(made)
    assert pictures(tmp_path / "out.mp4") == 7 * 30


def test_a_whole_that_saw_nothing_of_the_last_piece_is_none(tmp_path: Path) -> None:
    attempt(tmp_path, 1, programme(4, sound=Codec.OPUS)).close()
    last = attempt(tmp_path, 2, programme(3, sound=Codec.OPUS))
    made = last.close()
    growing_of(last).give_up()
    spool = tmp_path / "spool"
    # Nobody tells this one that the piece is closed, nor, for a while, that it is over.
    blind = growing.GrowingJoin(spool, [Piece(spool, 1)], Piece(spool, 2))
    blind._thread.join(0.5)
    blind.finish(last._packets)
    last._growing = None
    last.deliver(made)
    assert pictures(tmp_path / "out.mp4") == 7 * 30


def pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
