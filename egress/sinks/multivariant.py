"""The multivariant playlist: what a viewer can choose from, rendered from frozen values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egress.sinks.playlist import quoted


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the multivariant playlist; rates in bits per second."""

    uri: str
    bandwidth: int
    average: int
    codecs: tuple[str, ...]
    resolution: str | None = None
    frame_rate: float | None = None
    audio: str | None = None
    """URI of its sound, where that is apart from the picture."""
    channels: int = 2


@dataclass(frozen=True, slots=True)
class CaptionTrack:
    """One language of captions; `name` is what players show."""

    uri: str
    language: str
    name: str


def multivariant(
    variants: Sequence[Variant], iframes: Sequence[Variant] = (), captions: Sequence[CaptionTrack] = ()
) -> str:
    """The multivariant playlist of what can be chosen, and the I-frames of the pictures for scrubbing."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if sound := next((variant for variant in variants if variant.audio is not None), None):
        lines.append(
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Main",LANGUAGE="und",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="{sound.channels}",URI="{sound.audio}"'
        )
    lines += [
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="{quoted(track.name)}",LANGUAGE="{track.language}",'
        f'DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="{track.uri}"'
        for track in captions
    ]
    for variant in variants:
        attributes = _rates(variant)
        if variant.frame_rate is not None:
            attributes += f",FRAME-RATE={variant.frame_rate:.3f},CLOSED-CAPTIONS=NONE"
        if variant.audio is not None:
            attributes += ',AUDIO="audio"'
        if captions:
            attributes += ',SUBTITLES="captions"'
        lines += [f"#EXT-X-STREAM-INF:{attributes}", variant.uri]
    lines += [f'#EXT-X-I-FRAME-STREAM-INF:{_rates(keys)},URI="{keys.uri}"' for keys in iframes]
    return "\n".join(lines) + "\n"


def _rates(variant: Variant) -> str:
    text = f"BANDWIDTH={variant.bandwidth},AVERAGE-BANDWIDTH={variant.average}"
    text += f',CODECS="{",".join(variant.codecs)}"'
    if variant.resolution is not None:
        text += f",RESOLUTION={variant.resolution},VIDEO-RANGE=SDR"
    return text
