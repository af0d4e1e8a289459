"""Every registered sink keeps what the session relies on: it takes packets, ends in time, and says what it made."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from egress.model import checking, registry
from egress.model.errors import DestinationError
from egress.model.media import SECOND, Packet
from egress.model.passing import Passed
from egress.sinks.base import Mark, Sink, SinkContext, SinkState, SinkThread
from tests.contract.programme import LENGTH, Programme, programme, tracks

FFMPEG = shutil.which("ffmpeg") or ""
SINKS = registry.names("sinks")
FILES = ("mp4", "hls", "audio", "thumbnails", "waveform", "webm", "tracks")
"""Sinks that write files; the others write to a server, here one that refuses."""

NEEDS = {"audio": "audio", "waveform": "audio", "webm": "video", "thumbnails": "video"}
"""The kind of stream without which a sink has nothing to make; the others make something of any."""

NAMES = {
    "mp4": "a.mp4",
    "hls": "hls/",
    "audio": "a.m4a",
    "thumbnails": "thumbnails/",
    "waveform": "a.json",
    "webm": "a.webm",
    "tracks": "tracks/",
}

SILENT = "srt://127.0.0.1:9?streamid=contract-stream-0123&passphrase=contract-passphrase"
"""An address (RFC 863) at which no SRT listener answers."""


@pytest.fixture
def refused() -> Iterator[str]:
    """An address whose port is held by us and takes no connection."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"rtmp://127.0.0.1:{held.getsockname()[1]}/live/contract-key-0123"


@pytest.fixture
def targets(tmp_path: Path, refused: str) -> dict[str, str]:
    """Where each sink writes."""
    return {
        **{kind: str(tmp_path / "out" / name) for kind, name in NAMES.items()},
        "rtmp": refused,
        "srt": SILENT,
    }


def make(kind: str, to: str, spool: Path, events: list[dict[str, Any]]) -> Sink:
    document, problems = checking.examine({"name": "contract", "sinks": [{"kind": kind, "to": _plain(kind, to)}]})
    assert document is not None and not problems
    folder = spool / f"0-{kind}"
    folder.mkdir(parents=True)
    context = SinkContext(
        job="job-1",
        room="local:contract",
        title="A title",
        started=datetime(2026, 1, 31, 17, 45, tzinfo=UTC),
        folder=folder,
        to=to,
        announce=events.append,
        options={"ffmpeg": FFMPEG},
    )
    sink: Sink = registry.load("sinks", kind)(document.sinks[0], context)
    return sink


def _plain(kind: str, to: str) -> str:
    return NAMES.get(kind, to)


def _items(sink: Sink, made: Programme) -> tuple[Packet | Passed, ...]:
    """What a sink is fed: packets of the programme, or the same as tracks somebody sent."""
    return tracks(made) if sink.passes else _taken(sink, made).packets


def _feed(sink: Sink, *items: Packet | Passed) -> None:
    for item in items:
        if isinstance(item, Passed):
            sink.pass_on(item)
        else:
            sink.write(item)


def _taken(sink: Sink, made: Programme) -> Programme:
    """What of a programme a sink is given."""
    streams = tuple(info for info in made.streams if sink.takes(info))
    return Programme(streams, tuple(p for p in made.packets if p.stream in {info.id for info in streams}))


def test_every_sink_is_under_contract(targets: dict[str, str]) -> None:
    assert set(SINKS) == set(targets)


@pytest.mark.parametrize("streams", [("video", "audio"), ("audio",), ("video",)], ids="+".join)
@pytest.mark.parametrize("tune", ["zerolatency", "none"])
@pytest.mark.parametrize("kind", SINKS)
def test_a_sink_takes_a_programme_and_says_what_it_made(
    kind: str, tune: str, streams: tuple[str, ...], targets: dict[str, str], tmp_path: Path
) -> None:
    events: list[dict[str, Any]] = []
    sink = make(kind, targets[kind], tmp_path / "spool", events)
    whole = programme(streams, tune=tune)
    made = _taken(sink, whole)
    json.dumps(sink.status())
    if NEEDS.get(kind, streams[0]) not in streams:
        with pytest.raises(DestinationError, match="programme without"):
            sink.open(made.streams)
        assert tuple(sink.abort()) == ()
        return
    sink.open(made.streams)
    items = _items(sink, whole)
    _feed(sink, *items[:20])
    sink.mark(Mark(SECOND // 2, "join", 'Ada\r\n"x"'))
    _feed(sink, *items[20:])
    json.dumps(sink.status())
    if kind not in FILES:
        with pytest.raises(DestinationError):
            sink.close()
        sink.abort()
        json.dumps(events)
        return
    artifacts = sink.deliver(sink.close())
    json.dumps(events)
    assert artifacts
    for artifact in artifacts:
        assert Path(artifact.location).exists()
        assert Path(artifact.location).is_relative_to(tmp_path / "out")
        assert artifact.size > 0
        assert abs(artifact.duration - LENGTH) < SECOND // 10


@pytest.mark.parametrize("kind", FILES)
def test_files_take_opus_too(kind: str, targets: dict[str, str], tmp_path: Path) -> None:
    sink = make(kind, targets[kind], tmp_path / "spool", [])
    made = programme(codec="opus")
    sink.open(_taken(sink, made).streams)
    _feed(sink, *_items(sink, made))
    assert [abs(artifact.duration - LENGTH) < SECOND // 10 for artifact in sink.deliver(sink.close())] == [True]


@pytest.mark.parametrize("kind", SINKS)
def test_an_aborted_sink_leaves_what_is_on_disk_and_can_be_recovered(
    kind: str, targets: dict[str, str], tmp_path: Path
) -> None:
    sink = make(kind, targets[kind], tmp_path / "spool", [])
    sink.open(_taken(sink, programme()).streams)
    _feed(sink, *_items(sink, programme()))
    sink.abort()
    artifacts = registry.load("sinks", kind).recover(tmp_path / "spool" / f"0-{kind}", targets[kind])
    if kind in FILES:
        assert artifacts
        assert all(Path(artifact.location).stat().st_size > 0 for artifact in artifacts)


@pytest.mark.parametrize("kind", SINKS)
def test_recovering_a_folder_with_nothing_in_it_makes_nothing(
    kind: str, targets: dict[str, str], tmp_path: Path
) -> None:
    assert tuple(registry.load("sinks", kind).recover(tmp_path, targets[kind])) == ()


@pytest.mark.parametrize("kind", FILES)
def test_a_place_that_cannot_be_written_is_the_destinations_fault(kind: str, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("not a folder")
    sink = make(kind, str(tmp_path / "plain" / NAMES[kind]), tmp_path / "spool", [])
    with pytest.raises(DestinationError) as caught:
        sink.open(_taken(sink, programme()).streams)
        _feed(sink, *_items(sink, programme()))
        sink.deliver(sink.close())
    assert "plain" in caught.value.message
    sink.abort()


@pytest.mark.parametrize("kind", SINKS)
def test_a_sink_on_its_thread_never_makes_the_programme_wait_and_ends(
    kind: str, targets: dict[str, str], tmp_path: Path
) -> None:
    made = programme()
    thread = SinkThread(kind, make(kind, targets[kind], tmp_path / "spool", []), made.streams)
    for item in (*made.packets, *tracks(made)):
        assert thread.offer(item)
    thread.finish()
    assert thread.join(30), "a sink ends by itself"
    assert thread.refused == 0
    assert thread.state is (SinkState.CLOSED if kind in FILES else thread.state)
