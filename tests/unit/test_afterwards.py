"""Audio files and WebM: right in time, tagged, cut as the MP4 is, and made again by whoever finds them in the spool."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from egress.model.errors import DestinationError
from egress.model.media import SECOND, Codec
from egress.model.outputs import AudioFileDoc, WebmDoc
from egress.sinks.audiofile import AudioFileSink
from egress.sinks.base import END, PAUSE, RESUME, Mark, SinkContext
from egress.sinks.webm import WebmSink
from tests.flashes import Programme, context, feed, offsets, programme

FFMPEG = shutil.which("ffmpeg") or ""


def _context(tmp_path: Path, to: str, ffmpeg: str = FFMPEG) -> SinkContext:
    return replace(context(tmp_path / "spool", tmp_path / to), options={"ffmpeg": ffmpeg})


def _audio(tmp_path: Path, to: str, ffmpeg: str = FFMPEG, **doc: Any) -> AudioFileSink:
    return AudioFileSink(AudioFileDoc(kind="audio", to=to, **doc), _context(tmp_path, to, ffmpeg))


def _webm(tmp_path: Path, codec: str = "vp8", ffmpeg: str = FFMPEG) -> WebmSink:
    doc = WebmDoc.model_validate({"kind": "webm", "to": "a.webm", "codec": codec})
    return WebmSink(doc, _context(tmp_path, "a.webm", ffmpeg))


def _seconds(path: str) -> float:
    """How long the sound of a file plays once all of it has been decoded."""
    with av.open(path) as container:
        frames = [frame.samples / frame.sample_rate for frame in container.decode(audio=0)]
    return sum(frames)


def _facts(path: str) -> tuple[str, dict[str, str], list[tuple[float, str]]]:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        tags = {key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()}
        chapters = [(float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in container.chapters()]
        return stream.codec_context.name, tags, chapters


def _sound(seconds: float, codec: Codec = Codec.AAC) -> Programme:
    return programme(seconds, sound=codec, picture=False)


@pytest.mark.parametrize(
    ("to", "sound", "codec"),
    [
        ("a.m4a", Codec.AAC, "aac"),
        ("a.m4a", Codec.OPUS, "aac"),
        ("a.ogg", Codec.OPUS, "opus"),
        ("a.ogg", Codec.AAC, "opus"),
        ("a.mp3", Codec.AAC, "mp3"),
    ],
)
def test_sound_has_its_length_tags_and_chapters_in_every_file(
    tmp_path: Path, to: str, sound: Codec, codec: str
) -> None:
    sink = _audio(tmp_path, to)
    show = _sound(13, sound)
    sink.open(show.streams)
    sink.mark(Mark(0, "join", "Ada"))
    for packet in show.packets:
        sink.write(packet)
    sink.mark(Mark(12 * SECOND, "leave", "Ada"))
    (artifact,) = sink.deliver(sink.close())
    assert (artifact.kind, artifact.location) == ("audio", str(tmp_path / to))
    assert _seconds(artifact.location) == pytest.approx(13, abs=0.08)
    name, tags, chapters = _facts(artifact.location)
    assert name.removesuffix("float") in (codec, f"lib{codec}")
    assert tags["title"] == "Stand-up"
    assert [title for _, title in chapters] == ["Ada joined", "Ada left"]
    assert [at for at, _ in chapters] == pytest.approx([0, 12], abs=0.01)


@pytest.mark.parametrize(("to", "sound"), [("a.m4a", Codec.AAC), ("a.ogg", Codec.OPUS)])
def test_packets_that_fit_are_kept_as_they_are_without_ffmpeg(tmp_path: Path, to: str, sound: Codec) -> None:
    show = _sound(2, sound)
    sink = _audio(tmp_path, to, ffmpeg="")
    feed(sink, show)
    (artifact,) = sink.deliver(sink.close())
    with av.open(artifact.location) as container:
        kept = [bytes(packet) for packet in container.demux() if packet.size]
    assert kept == [packet.data for packet in show.packets]


def test_a_bit_rate_of_its_own_makes_a_file_smaller(tmp_path: Path) -> None:
    sink = _audio(tmp_path, "a.m4a", bitrate="24k")
    feed(sink, _sound(4))
    (artifact,) = sink.deliver(sink.close())
    assert artifact.size < 4 * 5000
    assert _seconds(artifact.location) == pytest.approx(4, abs=0.08)


@pytest.mark.parametrize("to", ["a.m4a", "a.mp3"])
def test_pauses_are_cut_and_the_end_is_trimmed(tmp_path: Path, to: str) -> None:
    sink = _audio(tmp_path, to)
    show = _sound(8)
    sink.open(show.streams)
    for packet in show.packets:
        if packet.pts == 2 * 48000 // 1024 * 1024:
            sink.mark(Mark(2 * SECOND, PAUSE, "Paused"))
        if packet.pts == 4 * 48000 // 1024 * 1024:
            sink.mark(Mark(4 * SECOND, RESUME, "Resumed"))
        sink.write(packet)
    sink.mark(Mark(7 * SECOND, END, ""))
    (artifact,) = sink.deliver(sink.close())
    assert _seconds(artifact.location) == pytest.approx(5, abs=0.08)


@pytest.mark.parametrize(
    ("codec", "decoder", "sound"), [("vp8", "vp8", Codec.AAC), ("vp9", "vp9", Codec.AAC), ("vp9", "vp9", Codec.OPUS)]
)
def test_a_webm_flashes_with_its_beeps(tmp_path: Path, codec: str, decoder: str, sound: Codec) -> None:
    sink = _webm(tmp_path, codec)
    show = programme(4, sound=sound)
    feed(sink, show)
    (artifact,) = sink.deliver(sink.close())
    with av.open(artifact.location) as container:
        assert decoder in container.streams.video[0].codec_context.name
        assert "opus" in container.streams.audio[0].codec_context.name
        assert sum(1 for _ in container.decode(video=0)) == 120
        assert container.metadata["title"] == "Stand-up"
    apart = offsets(artifact.location)
    assert len(apart) == 3
    # ffmpeg's WebM begins with Opus's priming of 6.5 ms, which players then leave out.
    assert max(map(abs, apart)) < 10
    assert sink.status()["percent"] == pytest.approx(100, abs=1)
    assert {path.suffix for path in (tmp_path / "spool").rglob("*") if path.is_file()} <= {".json", ".jsonl"}


@pytest.mark.parametrize("to", ["a.m4a", "a.ogg"])
def test_what_a_killed_worker_recorded_becomes_the_file(tmp_path: Path, to: str) -> None:
    sink = _audio(tmp_path, to)
    feed(sink, _sound(6))
    (artifact,) = AudioFileSink.recover(tmp_path / "spool", str(tmp_path / to))
    assert artifact.location == str(tmp_path / to)
    assert 3.9 < _seconds(artifact.location) < 6.1
    sink.abort()


def test_what_died_while_it_was_transcoded_is_transcoded_again(tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho Killed >&2\nexit 9\n")
    program.chmod(0o755)
    sink = _audio(tmp_path, "a.mp3", ffmpeg=str(program))
    feed(sink, _sound(3))
    with pytest.raises(DestinationError, match="Killed"):
        sink.deliver(sink.close())
    (kept,) = sink.abort()
    assert Path(kept.location).is_file()
    assert kept.duration == pytest.approx(3 * SECOND, abs=SECOND // 20)
    program.unlink()
    program.symlink_to(FFMPEG)
    (artifact,) = AudioFileSink.recover(tmp_path / "spool", str(tmp_path / "a.mp3"))
    assert _seconds(artifact.location) == pytest.approx(3, abs=0.08)
    assert artifact.duration == kept.duration
    # Had the process died before it said so, the file would be known again.
    assert AudioFileSink.recover(tmp_path / "spool", str(tmp_path / "a.mp3"))[0].location == artifact.location
    assert not (tmp_path / "a-job1.mp3").exists()


def test_a_sink_that_is_given_up_starts_no_transcode(tmp_path: Path) -> None:
    sink = _webm(tmp_path)
    feed(sink, programme(2))
    made = sink.close()
    sink.interrupt()
    with pytest.raises(DestinationError, match="given up"):
        sink.deliver(made)
    assert not (tmp_path / "a.webm").exists()


def test_without_ffmpeg_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="ffmpeg"):
        _webm(tmp_path, ffmpeg="").open(programme(2).streams)
    with pytest.raises(DestinationError, match="ffmpeg"):
        _audio(tmp_path, "a.mp3", ffmpeg="").open(_sound(2).streams)
