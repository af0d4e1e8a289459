"""Pauses cut out of really encoded programmes: durations, lip sync, cadence, and what a crash leaves."""

from __future__ import annotations

import random
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from egress.model.media import SECOND, Codec, Nanos, Packet
from egress.model.outputs import Mp4Doc
from egress.sinks.base import END, PAUSE, RESUME, Mark
from egress.sinks.mp4 import Mp4Sink
from egress.sinks.splice import Pause, Splice, moved, pauses
from tests.flashes import Programme, context, offsets, programme

DOC = Mp4Doc(kind="mp4", to="x.mp4")


def marks(*spans: tuple[float, float | None]) -> list[Mark]:
    made = []
    for begin, end in spans:
        made.append(Mark(round(begin * SECOND), PAUSE, "Paused"))
        if end is not None:
            made.append(Mark(round(end * SECOND), RESUME, "Resumed"))
    return made


def play(sink: Mp4Sink, show: Programme, told: Iterable[Mark], *, until: float = 1e9) -> None:
    """Marks come just before the packets of their time, as the programme gives them."""
    sink.open(show.streams)
    waiting = sorted(told, key=lambda mark: mark.at)
    bases = {info.id: info.time_base for info in show.streams}
    for packet in show.packets:
        while waiting and packet.pts * bases[packet.stream] * SECOND >= waiting[0].at:
            sink.mark(waiting.pop(0))
        if packet.pts * bases[packet.stream] >= until:
            return
        sink.write(packet)
    for mark in waiting:
        sink.mark(mark)


def show_of(seconds: float, kind: str) -> Programme:
    """Keyframes every half second, so that any multiple of one may be an end of a pause."""
    fast = Fraction(30)
    return {
        "plain": programme(seconds, fps=fast, keyframe=15),
        "b-frames": programme(seconds, fps=fast, keyframe=15, b_frames=2),
        "opus": programme(seconds, fps=fast, keyframe=15, sound=Codec.OPUS),
    }[kind]


def check(path: str, length: float, beeps: int) -> None:
    """Exact length and cadence, nothing undecodable, flashes with their beeps."""
    with av.open(path) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert container.start_time == 0
        packets = [(p.stream.index, p) for p in container.demux(video, sound) if p.pts is not None]
        mine, other = video.index, sound.index
    for stream in (mine, other):
        dts = [p.dts for index, p in packets if index == stream]
        assert all(one < two for one, two in pairwise(dts))
    pictures = sorted(p.pts * p.time_base for index, p in packets if index == mine)
    assert pictures[0] == 0 and {two - one for one, two in pairwise(pictures)} == {Fraction(1, 30)}
    assert len(pictures) == round(length * 30)
    last = max(p.pts + p.duration for index, p in packets if index == other) / 48_000
    assert abs(last - length) < 0.022
    with av.open(path) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(pictures)
    apart = offsets(path)
    assert len(apart) == beeps and max(map(abs, apart)) < 21, apart


ONE, MANY = [(2.5, 4.5)], [(1.5, 2.5), (3.5, 4.5), (5.5, 6.5), (7.5, 8.5)]


@pytest.mark.parametrize(
    ("kind", "spans", "length", "beeps"),
    [
        ("plain", ONE, 8.0, 7),
        ("plain", MANY, 6.0, 5),
        ("plain", [(0, 2.5)], 7.5, 6),
        ("plain", [(7.5, None)], 7.5, 7),
        ("plain", [(1.5, 2.5), (2.5, 3.5), (6.5, None)], 4.5, 4),
        ("b-frames", MANY, 6.0, 5),
        ("b-frames", [(0, 2.5)], 7.5, 6),
        ("opus", MANY, 6.0, 5),
        ("opus", [(0, 2.5)], 7.5, 6),
    ],
)
def test_what_is_paused_is_missing_and_the_rest_in_step(
    kind: str, spans: list[tuple[float, float | None]], length: float, beeps: int, tmp_path: Path
) -> None:
    sink = Mp4Sink(DOC, context(tmp_path / "spool", tmp_path / "out.mp4"))
    play(sink, show_of(10, kind), marks(*spans))
    (artifact,) = sink.deliver(sink.close())
    check(artifact.location, length, beeps)
    assert abs(artifact.duration / SECOND - length) < 0.022


def test_what_died_while_paused_is_recovered_up_to_the_pause(tmp_path: Path) -> None:
    sink = Mp4Sink(DOC, context(tmp_path / "spool", tmp_path / "out.mp4"))
    told = [Mark(9 * SECOND // 2, "join", "Ada"), *marks((1.5, 2.5), (5.5, None))]
    play(sink, show_of(10, "b-frames"), told, until=8)
    sink._container = None
    (artifact,) = Mp4Sink.recover(tmp_path / "spool", str(tmp_path / "out.mp4"))
    assert 3 * SECOND <= artifact.duration <= 4.6 * SECOND and artifact.details["recovered"]
    assert max(map(abs, offsets(artifact.location))) < 21


def test_chapters_and_the_end_move_with_what_follows_a_pause(tmp_path: Path) -> None:
    sink = Mp4Sink(DOC, context(tmp_path / "spool", tmp_path / "out.mp4"))
    told = [Mark(0, "join", "Ada"), Mark(28 * SECOND, "join", "Bob"), *marks((12, 14), (20, 21))]
    play(sink, programme(32, fps=Fraction(30), keyframe=15), [*told, Mark(30 * SECOND, END, "empty")])
    (artifact,) = sink.deliver(sink.close())
    assert artifact.details["chapters"] == [
        {"at": 0.0, "title": "Ada joined"},
        {"at": 12.0, "title": "Resumed, Resumed"},
        {"at": 25.0, "title": "Bob joined"},
    ]
    assert abs(artifact.duration - 27 * SECOND) < SECOND // 20


def test_times_move_up_to_where_pauses_began() -> None:
    cuts = pauses(marks((1, 2), (4, 6), (9, None)))
    assert cuts == (Pause(SECOND, 2 * SECOND), Pause(4 * SECOND, 6 * SECOND), Pause(9 * SECOND))
    assert [moved(n * SECOND, cuts) // SECOND for n in (0, 1, 2, 3, 5, 6, 8, 9, 20)] == [0, 1, 1, 2, 3, 3, 5, 6, 6]
    assert pauses([Mark(1, RESUME, ""), Mark(2, PAUSE, ""), Mark(3, PAUSE, ""), Mark(4, RESUME, "")]) == (Pause(2, 4),)


def test_sound_never_strays_by_more_than_half_a_packet_however_often_it_is_cut() -> None:
    info = programme(2).streams[1]
    chance, splice, told, kept = random.Random(5), Splice(info), [], []
    begin: Nanos | None = None
    for n in range(-1, 6_000):
        at = max(0, n) * 1024 * SECOND // 48_000
        if chance.random() < 0.02:
            mark = Mark(at, RESUME if begin is not None else PAUSE, "")
            begin = at if begin is None else None
            told.append(mark)
            splice.mark(mark)
        if made := splice.take(Packet("audio", b"", n * 1024, n * 1024, 1024, True)):
            ideal = moved(max(0, n) * 1024 * SECOND // 48_000, pauses(told)) * 48_000 / SECOND
            kept.append(made)
            assert n < 0 or abs(made.pts - ideal) <= 513
    assert [p.pts for p in kept] == list(range(-1024, (len(kept) - 1) * 1024, 1024))
    assert len(told) > 80
