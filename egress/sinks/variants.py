"""What a viewer of one presentation can choose from: pictures in their sizes, the sound, captions, and their rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from egress.model.media import Size, StreamInfo
from egress.sinks.cmaf import Track
from egress.sinks.multivariant import CaptionTrack, Variant, multivariant
from egress.sinks.playlist import Meter
from egress.sinks.presentation import CAPTIONS, Presentation, captions_name, iframes_name, rendition_name

_OVERHEAD = 115
"""Percent of the configured bit rate that is announced while live: boxes, and an encoder's liberty."""

_CAPTIONS_RATE = 8_000
"""Bits per second announced for captions while live: a line of words in every part."""


def index(presentation: Presentation, meters: Mapping[str, Meter], *, ended: bool) -> str:
    """The multivariant playlist of the renditions that have a meter.

    While live no rate is below what the pipeline configures; once ended all are what was measured.
    """
    streams = presentation.streams
    sound = next((info for info in streams if info.kind == "audio" and "audio" in meters), None)
    pictures = [info for info in streams if info.kind == "video" and rendition_name(info) in meters]
    captions = [track for track in presentation.captions if captions_name(track.language) in meters]
    written = [meters[captions_name(track.language)] for track in captions]
    least = 0 if ended or not captions else _CAPTIONS_RATE
    beside = (
        (_rate(sound, meters["audio"].peak, ended) if sound else 0) + max([least, *(m.peak for m in written)]),
        (_rate(sound, meters["audio"].average, ended) if sound else 0) + max([least, *(m.average for m in written)]),
    )
    heard = Track.of(sound) if sound else None
    variants = [_variant(info, meters, ended, beside, heard) for info in pictures]
    if heard and (presentation.audio_only or not pictures):
        alone = Variant("audio.m3u8", *beside, (heard.codec,), channels=heard.info.channels)
        variants.append(alone if not pictures else _with_sound(alone, heard))
    tracks = [
        CaptionTrack(f"{captions_name(track.language)}.m3u8", track.language, track.name or track.language)
        for track in captions
    ]
    return multivariant(variants, [found for info in pictures if (found := _iframes(info, meters))], tracks)


def peak(meters: Mapping[str, Meter]) -> int:
    """The highest rate of what one viewer plays, as measured."""
    kinds = ("video", "audio", CAPTIONS)
    return sum(max((m.peak for name, m in meters.items() if name.startswith(kind)), default=0) for kind in kinds)


def _variant(
    info: StreamInfo, meters: Mapping[str, Meter], ended: bool, beside: tuple[int, int], heard: Track | None
) -> Variant:
    """The picture in one size, with what is played beside it, at the (peak, average) rate `beside`."""
    name, track = rendition_name(info), Track.of(info)
    meter = meters[name]
    made = Variant(
        f"{name}.m3u8",
        _rate(info, meter.peak, ended) + beside[0],
        _rate(info, meter.average, ended) + beside[1],
        (track.codec, heard.codec) if heard else (track.codec,),
        resolution=_resolution(track),
        frame_rate=float(1 / info.time_base),
    )
    return _with_sound(made, heard) if heard else made


def _with_sound(variant: Variant, heard: Track) -> Variant:
    return replace(variant, audio="audio.m3u8", channels=heard.info.channels)


def _iframes(info: StreamInfo, meters: Mapping[str, Meter]) -> Variant | None:
    keys, track = meters.get(iframes_name(info)), Track.of(info)
    if keys is None or not keys.average:
        return None
    return Variant(f"{iframes_name(info)}.m3u8", keys.peak, keys.average, (track.codec,), _resolution(track))


def _rate(info: StreamInfo, measured: int, ended: bool) -> int:
    return measured if ended and measured else max(measured, info.bitrate * _OVERHEAD // 100)


def _resolution(track: Track) -> str | None:
    return str(Size(track.avc.width, track.avc.height)) if track.avc else None
