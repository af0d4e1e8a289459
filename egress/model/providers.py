"""What the big live platforms ask of a stream, held against a pipeline before anything is sent.

Findings are warnings: a platform that gets more than it asks for may still take it, and changes its mind more often
than a program is released. Addresses of anybody's own (rtmp://, srt://) are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from egress.model.media import SECOND, Nanos
from egress.model.outputs import RtmpDoc
from egress.model.pipeline import Audio, Pipeline, Video
from egress.model.secrets import redact_url
from egress.model.units import bitrate_text, duration_text

_K, _M = 1_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one platform asks for.

    `video` lists (lines of the picture, most pictures per second, most bits per second), smallest first; the first row
    a picture fits in holds for it, and one that fits in none is too large. `keyframe` is the longest distance it takes,
    `advised` the one it wants.
    """

    name: str
    video: tuple[tuple[int, int, int], ...]
    keyframe: Nanos
    advised: Nanos
    audio_bitrate: int
    both: bool
    """Whether it wants picture and sound, and takes no stream of one alone."""
    source: str


LIMITS: Mapping[str, Limits] = {
    "youtube": Limits(
        "YouTube",
        (
            (720, 30, 4 * _M),
            (720, 60, 6 * _M),
            (1080, 30, 10 * _M),
            (1080, 60, 12 * _M),
            (1440, 30, 15 * _M),
            (1440, 60, 24 * _M),
            (2160, 30, 30 * _M),
            (2160, 60, 35 * _M),
        ),
        keyframe=4 * SECOND,
        advised=2 * SECOND,
        audio_bitrate=384 * _K,
        both=True,
        source="https://support.google.com/youtube/answer/2853702",
    ),
    "twitch": Limits(
        "Twitch",
        ((720, 60, 6 * _M), (1080, 60, 6 * _M)),
        keyframe=2 * SECOND,
        advised=2 * SECOND,
        audio_bitrate=320 * _K,
        both=False,
        source="https://help.twitch.tv/s/article/broadcasting-guidelines",
    ),
    "facebook": Limits(
        "Facebook",
        (
            (360, 30, 1 * _M),
            (480, 30, 2 * _M),
            (720, 30, 4 * _M),
            (720, 60, 6 * _M),
            (1080, 30, 6 * _M),
            (1080, 60, 9 * _M),
        ),
        keyframe=4 * SECOND,
        advised=2 * SECOND,
        audio_bitrate=256 * _K,
        both=True,
        source="https://developers.facebook.com/documentation/live-video-api/reference",
    ),
    "mux": Limits(
        "Mux",
        ((1080, 60, 8 * _M),),
        keyframe=20 * SECOND,
        advised=2 * SECOND,
        audio_bitrate=320 * _K,
        both=False,
        source="https://www.mux.com/docs/guides/minimize-processing-time",
    ),
}
"""The platforms by the scheme of their addresses."""


def cautions(pipeline: Pipeline) -> tuple[str, ...]:
    """What the platforms a pipeline streams to may not like about it, a sentence each."""
    found = []
    for index, sink in enumerate(pipeline.sinks):
        if isinstance(sink, RtmpDoc):
            found += [f"sinks[{index}] {text}" for text in cautions_for(sink.to, pipeline)]
    return tuple(found)


def cautions_for(to: str, pipeline: Pipeline) -> tuple[str, ...]:
    """What the platform of one address may not like about a pipeline; () where the address is anybody's own."""
    limits = LIMITS.get(to.strip().partition("://")[0].lower())
    if limits is None:
        return ()
    where = redact_url(to.strip())
    return tuple(f"{where}: {text} ({limits.source})" for text in _judged(limits, pipeline))


def _judged(limits: Limits, pipeline: Pipeline) -> Iterator[str]:
    if pipeline.video is not None:
        yield from _video(limits, pipeline.video)
    elif limits.both:
        yield f"{limits.name} wants a picture too, and the pipeline has none; give it a video part"
    yield from _audio(limits, pipeline.audio)


def _video(limits: Limits, video: Video) -> Iterator[str]:
    name = limits.name
    if video.keyframe > limits.keyframe:
        found, most, good = map(duration_text, (video.keyframe, limits.keyframe, limits.advised))
        yield f"{name} takes keyframes at most {most} apart, and video.keyframe is {found}; use {good}"
    elif video.keyframe > limits.advised:
        yield f"{name} advises video.keyframe: {duration_text(limits.advised)}, not {duration_text(video.keyframe)}"
    # A picture that stands upright is judged by its shorter side, as platforms do.
    lines, fps = min(video.size.width, video.size.height), Fraction(video.fps)
    row = next((row for row in limits.video if lines <= row[0] and fps <= row[1]), None)
    if row is None:
        row = limits.video[-1]
        yield f"{name} takes at most {row[0]} lines at {row[1]} per second, not {video.size} at {video.fps}"
    if video.bitrate > row[2]:
        yield (
            f"{name} takes at most {bitrate_text(row[2])} bit/s at this size, and video.bitrate is "
            f"{bitrate_text(video.bitrate)}"
        )


def _audio(limits: Limits, audio: Audio) -> Iterator[str]:
    name = limits.name
    # 48 kHz AAC-LC, mono or stereo, is what every one of them takes, and all a pipeline can stream.
    if audio.bitrate > limits.audio_bitrate:
        found, most = bitrate_text(audio.bitrate), bitrate_text(limits.audio_bitrate)
        yield f"{name} takes sound of at most {most} bit/s, and audio.bitrate is {found}"
