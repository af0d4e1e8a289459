"""Rules of the files made beside the recording: sound alone, WebM, thumbnails, waveforms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from egress.model import audio_files
from egress.model.media import MILLISECOND, SECOND, Nanos, Size
from egress.model.outputs import AudioFileDoc, SinkDoc, ThumbnailsDoc, WaveformDoc, WebmDoc
from egress.model.pipeline import Pipeline
from egress.model.problems import Finding, Problem, shown
from egress.model.units import bitrate_text, duration_text

VIDEO_BITRATE = (50_000, 100_000_000)
THUMBNAILS_EVERY = (SECOND, 600 * SECOND)
WAVEFORM_EVERY = (10 * MILLISECOND, 60 * SECOND)
THUMBNAIL_SIZE = (Size(32, 32), Size(1280, 1280))
WAVEFORM_SIZE = (Size(64, 16), Size(4096, 1024))
MOST_THUMBNAILS = 50_000
"""Files in one folder; more would make it slow to list."""
_FILES = (".jpg", ".jpeg", ".png", ".webp", ".vtt", ".json")


def file_findings(p: Pipeline) -> Iterator[Finding]:
    """Every rule these sinks of a pipeline break."""
    for index, sink in enumerate(p.sinks):
        yield from _sink(p, f"sinks[{index}]", sink)


def _sink(p: Pipeline, path: str, sink: SinkDoc) -> Iterator[Finding]:
    match sink:
        case AudioFileDoc() if sink.bitrate is not None:
            if span := audio_files.BITRATE.get(audio_files.ending(sink.to)):
                yield from _bitrate(f"{path}.bitrate", sink.bitrate, span, "128k", f"{path}.to")
        case WebmDoc():
            yield from _pictured(p, path, "WebM", "use kind: audio, or add video")
            if sink.bitrate is not None:
                yield from _bitrate(f"{path}.bitrate", sink.bitrate, VIDEO_BITRATE, "2M")
        case ThumbnailsDoc():
            yield from _pictured(p, path, "thumbnails", "use kind: waveform, or add video")
            yield from _thumbnails(p, path, sink)
        case WaveformDoc():
            yield from _every(f"{path}.every", sink.every, WAVEFORM_EVERY)
            yield from _size(f"{path}.size", sink.size, WAVEFORM_SIZE)


def _thumbnails(p: Pipeline, path: str, sink: ThumbnailsDoc) -> Iterator[Finding]:
    if PurePosixPath(sink.to).suffix.lower() in _FILES and not sink.to.endswith("/"):
        message = f"{shown(sink.to)} must name a folder for the pictures, like thumbnails/{{room}}/"
        yield Finding(Problem(f"{path}.to", message), ())
    yield from (wrong := [*_every(f"{path}.every", sink.every, THUMBNAILS_EVERY)])
    yield from _size(f"{path}.size", sink.size, THUMBNAIL_SIZE)
    if wrong:
        return
    if p.video is not None and sink.every < p.video.keyframe:
        keyframe = duration_text(p.video.keyframe)
        message = f"{duration_text(sink.every)} is less than a keyframe takes to come; use {keyframe} or more"
        yield Finding(Problem(f"{path}.every", message), ("video.keyframe",))
    elif p.stop.max > MOST_THUMBNAILS * sink.every:
        message = (
            f"makes more than {MOST_THUMBNAILS} pictures in {duration_text(p.stop.max)}; use more, or less stop.max"
        )
        yield Finding(Problem(f"{path}.every", message), ("stop.max",))


def _pictured(p: Pipeline, path: str, what: str, instead: str) -> Iterator[Finding]:
    if p.video is None:
        yield Finding(Problem(f"{path}.kind", f"there is no picture to make {what} of; {instead}"), ("video",))


def _every(path: str, value: Nanos, span: tuple[Nanos, Nanos]) -> Iterator[Finding]:
    if not span[0] <= value <= span[1]:
        low, high = duration_text(span[0]), duration_text(span[1])
        yield Finding(Problem(path, f"{duration_text(value)} is out of range; use {low} to {high}"), ())


def _size(path: str, size: Size, span: tuple[Size, Size]) -> Iterator[Finding]:
    least, most = span
    if not (least.width <= size.width <= most.width and least.height <= size.height <= most.height):
        yield Finding(Problem(path, f"{size} is out of range; use {least} to {most}"), ())


def _bitrate(path: str, value: int, span: tuple[int, int], like: str, *reads: str) -> Iterator[Finding]:
    if not span[0] <= value <= span[1]:
        low, high = bitrate_text(span[0]), bitrate_text(span[1])
        message = f"{bitrate_text(value)} bit/s is out of range; use {low} to {high}, like {like}"
        yield Finding(Problem(path, message), reads)
