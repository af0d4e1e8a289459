"""ffmpeg makes a file whole or not at all, gives way, says how far it is, and can be killed at any moment."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from egress.model.errors import DestinationError
from egress.model.media import SECOND
from egress.sinks.ffmpeg import Recipe, Transcode, command

SOUND = Recipe(("a",), "mp3", {"c:a": "libmp3lame", "b:a": 64_000})


def _program(tmp_path: Path, script: str) -> str:
    """A program in ffmpeg's place; `$out` is where it is to write."""
    path = tmp_path / "ffmpeg"
    path.write_text(
        '#!/bin/sh\nfor word; do case "$word" in *.part) out="$word";; esac; done\n' + script, encoding="utf-8"
    )
    path.chmod(0o755)
    return str(path)


def test_the_command_names_files_of_the_spool_and_keeps_tags_and_chapters(tmp_path: Path) -> None:
    words = command("/usr/bin/ffmpeg", tmp_path / "a b.mp4", tmp_path / "c.mp3.part", SOUND)
    assert words[:3] == ["/usr/bin/ffmpeg", "-i", str(tmp_path / "a b.mp4")]
    pairs = list(pairwise(words))
    wanted = [("-map", "0:a:0"), ("-f", "mp3"), ("-map_chapters", "0"), ("-map_metadata", "0"), ("-b:a", "64000")]
    assert set(wanted) <= set(pairs)
    assert "-nostdin" in words and str(tmp_path / "c.mp3.part") in words


def test_a_file_is_made_whole(tmp_path: Path) -> None:
    done = Transcode()
    assert done.status() == {}
    program = _program(tmp_path, 'echo out_time_us=N/A; echo out_time_us=1500000; printf made > "$out"\n')
    done.run(program, tmp_path / "a.mp4", tmp_path / "a.mp3", SOUND, 3 * SECOND)
    assert (tmp_path / "a.mp3").read_text() == "made"
    assert done.status() == {"transcoded": 1.5, "percent": 50.0}


def test_it_gives_way_and_gets_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    program = _program(tmp_path, '{ nice; ionice -p $$; env; } > "$out"\n')
    Transcode().run(program, tmp_path / "a.mp4", tmp_path / "a.mp3", SOUND, SECOND)
    nice, ionice, *environment = (tmp_path / "a.mp3").read_text().splitlines()
    assert (nice, ionice) == ("19", "idle")
    assert "canary" not in "".join(environment)


def test_a_failure_leaves_nothing_and_says_what_ffmpeg_said(tmp_path: Path) -> None:
    program = _program(tmp_path, 'printf half > "$out"; echo first >&2; echo "No space left" >&2; exit 3\n')
    with pytest.raises(
        DestinationError, match=r"a\.mp3 could not be made: ffmpeg ended with status 3: .*No space left"
    ):
        Transcode().run(program, tmp_path / "a.mp4", tmp_path / "a.mp3", SOUND, SECOND)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_it_does_not_stop_over_more_words_than_a_pipe_holds(tmp_path: Path) -> None:
    program = _program(tmp_path, 'head -c 300000 /dev/zero | tr "\\0" x >&2; echo the end >&2; exit 1\n')
    with pytest.raises(DestinationError) as caught:
        Transcode().run(program, tmp_path / "a.mp4", tmp_path / "a.mp3", SOUND, SECOND)
    assert caught.value.message.endswith("the end")
    assert len(caught.value.message) < 1000


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="/no/such/ffmpeg"):
        Transcode().run("/no/such/ffmpeg", tmp_path / "a.mp4", tmp_path / "a.mp3", SOUND, SECOND)


def test_it_is_killed_at_once_and_stays_so(tmp_path: Path) -> None:
    program = _program(tmp_path, f'echo $$ > "{tmp_path}/pid"; echo out_time_us=1000000; exec sleep 600\n')
    caught: list[DestinationError] = []
    work = Transcode()

    def run() -> None:
        try:
            work.run(program, tmp_path / "a.mp4", tmp_path / "a.mp3", SOUND, SECOND)
        except DestinationError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not work.status().get("transcoded"):
        thread.join(0.01)
    work.cancel()
    thread.join(30)
    assert not thread.is_alive()
    assert "given up" in caught[0].message
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(DestinationError, match="given up"):
        work.run(program, tmp_path / "a.mp4", tmp_path / "a.mp3", SOUND, SECOND)
