"""Rules across the fields of a pipeline: every number in its range, everything that must divide divides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from egress.model import registry
from egress.model.file_rules import file_findings
from egress.model.hls_rules import hls_findings
from egress.model.ladder_rules import ladder_findings
from egress.model.look_rules import look_findings
from egress.model.media import MILLISECOND, SECOND, Nanos, Size
from egress.model.outputs import HlsDoc, Mp4Doc, RtmpDoc, SinkDoc, SrtDoc
from egress.model.pipeline import Pipeline, Video
from egress.model.problems import Finding, Problem, did_you_mean, one_of, shown
from egress.model.targets import backup_problems, clashes, target_problems
from egress.model.units import bitrate_text, duration_text

MIN_SIDE, MAX_SIDE, MAX_PIXELS = 64, 4096, 3840 * 2160
MAX_FPS = 60
VIDEO_BITRATE = (50_000, 100_000_000)
AUDIO_BITRATE = {"aac": (24_000, 256_000), "opus": (6_000, 256_000)}
"""Lowest of the whole stream, highest per channel."""
KEYFRAME = (200 * MILLISECOND, 10 * SECOND)
PART = (100 * MILLISECOND, 2 * SECOND)
SEGMENT = (SECOND, 20 * SECOND)
WINDOW_SEGMENTS = 6
DELAY = (50 * MILLISECOND, 10 * SECOND)
MAX_LENGTH = 30 * 24 * 3600 * SECOND
MAX_SINKS = 32
AUDIO_FRAME = {"aac": 1024, "opus": 960}
"""Samples in one encoded audio frame."""
PART_FILL = Fraction(85, 100)
"""A part must last at least this much of the part target (RFC 8216bis 4.4.4.9)."""


def check(pipeline: Pipeline) -> tuple[Finding, ...]:
    """Every rule the pipeline breaks, in the order of the document."""
    return tuple(finding for rule in _RULES for finding in rule(pipeline))


def _found(path: str, message: str, *reads: str) -> Finding:
    return Finding(Problem(path, message), reads)


def _size(p: Pipeline) -> Iterator[Finding]:
    if p.video is None:
        return
    size = p.video.size
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (size.width, size.height)):
        yield _found("video.size", f"{size}: each side must be {MIN_SIDE} to {MAX_SIDE} pixels, like 1280x720")
    elif size.width % 2 or size.height % 2:
        even = Size(size.width + size.width % 2, size.height + size.height % 2)
        yield _found("video.size", f"{size}: both sides must be even; use {even}")
    elif size.width * size.height > MAX_PIXELS:
        yield _found("video.size", f"{size} has more pixels than 3840x2160; make it smaller")


def _fps_ok(video: Video) -> bool:
    return 1 <= video.fps <= MAX_FPS


def _video(p: Pipeline) -> Iterator[Finding]:
    if p.video is None:
        return
    if not _fps_ok(p.video):
        yield _found("video.fps", f"{p.video.fps} pictures per second; use 1 to {MAX_FPS}, like 30")
    low, high = VIDEO_BITRATE
    if not low <= p.video.bitrate <= high:
        message = f"{bitrate_text(p.video.bitrate)} bit/s; use {bitrate_text(low)} to {bitrate_text(high)}, like 3M"
        yield _found("video.bitrate", message)
    yield from _range("video.keyframe", p.video.keyframe, KEYFRAME)
    if _fps_ok(p.video) and KEYFRAME[0] <= p.video.keyframe <= KEYFRAME[1]:
        yield from _whole_frames("video.keyframe", p.video.keyframe, p.video.fps)


def _audio(p: Pipeline) -> Iterator[Finding]:
    low, per_channel = AUDIO_BITRATE[p.audio.codec]
    high = per_channel * p.audio.channels
    if not low <= p.audio.bitrate <= high:
        span = f"{bitrate_text(low)} to {bitrate_text(high)}"
        message = f"{bitrate_text(p.audio.bitrate)} bit/s; {p.audio.codec} takes {span}, like 128k"
        yield _found("audio.bitrate", message, "audio.codec", "audio.channels")


def _sinks(p: Pipeline) -> Iterator[Finding]:
    if len(p.sinks) > MAX_SINKS:
        yield _found("sinks", f"{len(p.sinks)} sinks; one pipeline may have {MAX_SINKS}")
    kinds = registry.names("sinks")
    for index, sink in enumerate(p.sinks):
        path = f"sinks[{index}]"
        if sink.kind not in kinds:
            hint = did_you_mean(sink.kind, kinds)
            yield _found(f"{path}.kind", f"unknown sink {shown(sink.kind)}{hint}; known: {one_of(kinds)}")
        for problem in target_problems(sink, f"{path}.to"):
            yield Finding(problem, (f"{path}.kind",))
        for problem in backup_problems(sink, f"{path}.backup"):
            yield Finding(problem, (f"{path}.kind",))
        yield from _sink(p, path, sink)
    for problem in clashes(p.sinks):
        yield Finding(problem, tuple(f"sinks[{index}].to" for index in range(len(p.sinks))))


def _sink(p: Pipeline, path: str, sink: SinkDoc) -> Iterator[Finding]:
    match sink:
        case Mp4Doc():
            yield from _mp4(p, path, sink)
        case HlsDoc():
            yield from _hls(p, path, sink)
        case RtmpDoc() if p.audio.codec != "aac":
            message = f"RTMP carries aac, and audio.codec is {p.audio.codec}; set audio.codec: aac"
            yield _found(f"{path}.kind", message, "audio.codec")
        case SrtDoc() if p.audio.codec != "aac":
            message = f"SRT listeners expect aac, and audio.codec is {p.audio.codec}; set audio.codec: aac"
            yield _found(f"{path}.kind", message, "audio.codec")


def _mp4(p: Pipeline, path: str, sink: Mp4Doc) -> Iterator[Finding]:
    yield from _range(f"{path}.fragment", sink.fragment, (200 * MILLISECOND, 60 * SECOND))


def _hls(p: Pipeline, path: str, sink: HlsDoc) -> Iterator[Finding]:
    part, segment = sink.part, sink.segment
    wrong = [*_range(f"{path}.part", part, PART), *_range(f"{path}.segment", segment, SEGMENT)]
    yield from wrong
    if not wrong:
        if part > segment:
            message = f"a part ({duration_text(part)}) is longer than a segment ({duration_text(segment)})"
            yield _found(f"{path}.part", f"{message}; make it shorter", f"{path}.segment")
        yield from _audio_parts(p, f"{path}.part", part)
        if p.video is not None and _fps_ok(p.video):
            yield from _whole_frames(f"{path}.part", part, p.video.fps)
            yield from _keyframes_fit(p.video, f"{path}.segment", segment)
    if sink.playlist == "sliding" and sink.window < WINDOW_SEGMENTS * segment:
        least = duration_text(WINDOW_SEGMENTS * segment)
        message = f"{duration_text(sink.window)} is under {WINDOW_SEGMENTS} segments; use {least} or more"
        yield _found(f"{path}.window", message, f"{path}.segment", f"{path}.playlist")
    if sink.playlist == "sliding" and sink.vod and "vod" in sink.model_fields_set:
        message = "a sliding playlist forgets its beginning; use playlist: event, or vod: false"
        yield _found(f"{path}.vod", message, f"{path}.playlist")


def _keyframes_fit(video: Video, path: str, segment: Nanos) -> Iterator[Finding]:
    if not KEYFRAME[0] <= video.keyframe <= KEYFRAME[1] or segment % video.keyframe == 0:
        return
    low = segment // video.keyframe * video.keyframe
    options = " or ".join(duration_text(n) for n in (low, low + video.keyframe) if n >= SEGMENT[0])
    message = (
        f"{duration_text(segment)} is no multiple of video.keyframe ({duration_text(video.keyframe)}), and each "
        f"segment begins with a keyframe; use {options}"
    )
    yield _found(path, message, "video.keyframe")


def _audio_parts(p: Pipeline, path: str, part: Nanos) -> Iterator[Finding]:
    """Audio is cut at encoded frames: the most that fit into a part must fill it."""
    frame = Fraction(AUDIO_FRAME[p.audio.codec] * SECOND, p.audio.rate)
    fill = part // frame * frame / part
    if fill >= PART_FILL:
        return
    better = -(-part // (10 * MILLISECOND)) * 10 * MILLISECOND
    while better // frame * frame / better < PART_FILL:
        better += 10 * MILLISECOND
    message = (
        f"{duration_text(part)} holds {part // frame} {p.audio.codec} frames, which fill {float(fill):.0%} of it; "
        f"HLS wants 85 %: use {duration_text(better)}"
    )
    yield _found(path, message, "audio.codec")


def _whole_frames(path: str, length: Nanos, fps: Fraction) -> Iterator[Finding]:
    frames = length * fps / SECOND
    if frames.denominator == 1:
        return
    options = sorted({_whole(int(frames), fps, -1), _whole(int(frames) + 1, fps, 1)} - {0})
    texts = " or ".join(duration_text(option) for option in options)
    message = f"{duration_text(length)} is {float(frames):.2f} pictures at {fps} per second, not a whole number"
    yield _found(path, f"{message}; use {texts}", "video.fps")


def _whole(frames: int, fps: Fraction, step: int) -> Nanos:
    """The duration nearest to `frames` pictures, going by `step`, that can be written in milliseconds; 0: none."""
    while frames > 0:
        length = frames * SECOND / fps
        if length.denominator == 1 and duration_exact(int(length)):
            return int(length)
        frames += step
    return 0


def duration_exact(nanos: Nanos) -> bool:
    """Whether a pipeline document can say this duration without rounding."""
    return nanos % (MILLISECOND // 10) == 0


def _range(path: str, value: Nanos, span: tuple[Nanos, Nanos]) -> Iterator[Finding]:
    if not span[0] <= value <= span[1]:
        low, high = duration_text(span[0]), duration_text(span[1])
        yield _found(path, f"{duration_text(value)} is out of range; use {low} to {high}")


def _times(p: Pipeline) -> Iterator[Finding]:
    if not SECOND <= p.stop.max <= MAX_LENGTH:
        limit = duration_text(MAX_LENGTH)
        yield _found("stop.max", f"{duration_text(p.stop.max)} is out of range; use 1s to {limit}, like 4h")
    for name, value in (("empty_for", p.stop.empty_for), ("lost_for", p.stop.lost_for)):
        if value > MAX_LENGTH:
            yield _found(f"stop.{name}", f"is longer than {duration_text(MAX_LENGTH)}; use less, or 0s for never")
    yield from _range("delay", p.delay, DELAY)


_RULES: tuple[Callable[[Pipeline], Iterator[Finding]], ...] = (
    look_findings,
    _size,
    _video,
    ladder_findings,
    _audio,
    _sinks,
    hls_findings,
    file_findings,
    _times,
)
