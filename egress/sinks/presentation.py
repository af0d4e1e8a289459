"""One HLS presentation: its streams, its arithmetic and its place on disk; kept in the spool so it can be ended."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

from egress.disk import write_whole
from egress.model.errors import DestinationError, Fault
from egress.model.media import SECOND, Codec, Nanos, Size, StreamInfo
from egress.model.outputs import HlsDoc
from egress.sinks.cmaf import Track
from egress.sinks.playlist import Head, Meter, PlaylistType, Variant, multivariant

INDEX, IFRAMES, INIT = "index.m3u8", "iframes", "init.mp4"

OWNER = ".job"
"""The file in a presentation's folder that names the job it belongs to; no other job's recovery touches it."""

_OVERHEAD = 115
"""Percent of the configured bit rate that is announced while live: boxes, and an encoder's liberty."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a presentation is made of and how it is cut.

    `part` and `segment` are the grid in seconds that every rendition is cut on, at the packet boundary nearest to it,
    so that part P of segment N is the same stretch of time in all of them. `part_target` is the longest part that
    gives. `shift` (seconds) is added to every timestamp where B-frames would have negative ones.
    """

    to: Path
    started: datetime
    streams: tuple[StreamInfo, ...]
    part: Fraction
    segment: Fraction
    part_target: Nanos
    target: int
    window: Nanos | None
    vod: bool
    audio_only: bool = False
    shift: Fraction = Fraction(0)
    job: str = ""

    @classmethod
    def of(cls, doc: HlsDoc, to: Path, started: datetime, programme: Sequence[StreamInfo]) -> Presentation:
        """Plan the cuts of a document for a programme; raises Fault when it holds more than a picture and a sound."""
        video = [info for info in programme if info.kind == "video"]
        audio = [info for info in programme if info.kind == "audio"]
        video.sort(key=lambda info: info.rung)
        if sum(info.rung == 0 for info in video) != bool(video) or len(audio) > 1 or not programme:
            raise Fault("HLS takes one picture in several sizes and one sound, or one of them")
        part, segment = Fraction(doc.part, SECOND), Fraction(doc.segment, SECOND)
        longest_part = part
        longest = segment
        if video:
            frame = video[0].time_base
            part, segment = max(1, round(part / frame)) * frame, max(1, round(segment / frame)) * frame
            longest_part, longest = part, segment
        if audio:
            packet = packet_length(audio[0]) * audio[0].time_base
            longest_part = max(part, ceil(part / packet) * packet)
            longest += packet
        return cls(
            to=to,
            started=started,
            streams=(*video, *audio),
            part=part,
            segment=segment,
            part_target=round(longest_part * SECOND),
            target=max(1, floor(longest + Fraction(1, 2))),
            window=doc.window if doc.playlist == "sliding" else None,
            vod=doc.vod and doc.playlist == "event",
            audio_only=doc.audio_only,
        )

    @property
    def type(self) -> PlaylistType:
        """The type of its playlists while it is live."""
        return "event" if self.window is None else "sliding"

    def head(self, name: str, *, ended: bool = False) -> Head:
        """The head of one rendition's playlist (`video`, `audio`, `iframes`), live or ended."""
        iframes = name.startswith(IFRAMES)
        return Head(
            type="vod" if ended and self.vod else self.type,
            target=self.target,
            started=self.started,
            map=f"{name.replace(IFRAMES, 'video', 1)}/{INIT}",
            part_target=None if ended or iframes else self.part_target,
            reload=not ended,
            iframes=iframes,
        )

    def index(self, meters: Mapping[str, Meter], *, ended: bool) -> str:
        """The multivariant playlist of the renditions that have a meter.

        While live no rate is below what the pipeline configures; once ended all are what was measured.
        """
        sound = next((info for info in self.streams if info.kind == "audio" and "audio" in meters), None)
        pictures = [info for info in self.streams if info.kind == "video" and rendition_name(info) in meters]
        peak = self._rate(sound, meters["audio"].peak, ended) if sound else 0
        average = self._rate(sound, meters["audio"].average, ended) if sound else 0
        heard = Track.of(sound) if sound else None
        codecs = (heard.codec,) if heard else ()
        variants = [self._variant(info, meters, ended, (peak, average), heard) for info in pictures]
        if heard and (self.audio_only or not pictures):
            variants.append(
                Variant(
                    "audio.m3u8",
                    peak,
                    average,
                    codecs,
                    audio="audio.m3u8" if pictures else None,
                    channels=heard.info.channels,
                )
            )
        return multivariant(variants, [found for info in pictures if (found := self._iframes(info, meters))])

    def peak(self, meters: Mapping[str, Meter]) -> int:
        """The highest rate of what one viewer plays, as measured."""
        pictures = [meter.peak for name, meter in meters.items() if name.startswith("video")]
        sounds = [meter.peak for name, meter in meters.items() if name == "audio"]
        return max(pictures, default=0) + max(sounds, default=0)

    def _variant(
        self,
        info: StreamInfo,
        meters: Mapping[str, Meter],
        ended: bool,
        sound: tuple[int, int],
        heard: Track | None,
    ) -> Variant:
        """The picture in one size, with the sound, whose (peak, average) rate is `sound`."""
        name, track = rendition_name(info), Track.of(info)
        meter = meters[name]
        return Variant(
            f"{name}.m3u8",
            self._rate(info, meter.peak, ended) + sound[0],
            self._rate(info, meter.average, ended) + sound[1],
            (track.codec, heard.codec) if heard else (track.codec,),
            resolution=_resolution(track),
            frame_rate=float(1 / info.time_base),
            audio="audio.m3u8" if heard else None,
            channels=heard.info.channels if heard else 0,
        )

    def _iframes(self, info: StreamInfo, meters: Mapping[str, Meter]) -> Variant | None:
        keys, track = meters.get(iframes_name(info)), Track.of(info)
        if keys is None or not keys.average:
            return None
        return Variant(f"{iframes_name(info)}.m3u8", keys.peak, keys.average, (track.codec,), _resolution(track))

    @staticmethod
    def _rate(info: StreamInfo, measured: int, ended: bool) -> int:
        return measured if ended and measured else max(measured, info.bitrate * _OVERHEAD // 100)

    def at(self, to: Path) -> Presentation:
        """The same in another folder."""
        return replace(self, to=to)

    def shifted(self, shift: Fraction) -> Presentation:
        """The same, with timestamps moved so that none is negative."""
        return replace(self, shift=shift)

    def claimed(self, job: str) -> Presentation:
        """The same as a job's own, which its folder says from now on; raises DestinationError."""
        write_file(self.to / OWNER, job.encode(), durable=True)
        return replace(self, job=job)

    @property
    def ours(self) -> bool:
        """Whether the folder is still this job's: another one may have begun there since."""
        try:
            return (self.to / OWNER).read_bytes() == self.job.encode()
        except OSError:
            return False

    def keep(self, path: Path) -> None:
        """Write it where a later process finds it."""
        document = {
            "to": str(self.to),
            "job": self.job,
            "started": self.started.isoformat(),
            "streams": [_stream_row(info) for info in self.streams],
            "part": str(self.part),
            "segment": str(self.segment),
            "part_target": self.part_target,
            "target": self.target,
            "window": self.window,
            "vod": self.vod,
            "audio_only": self.audio_only,
            "shift": str(self.shift),
        }
        write_file(path, json.dumps(document, indent=1).encode(), durable=True)

    @classmethod
    def load(cls, path: Path) -> Presentation:
        """Read what `keep` wrote; raises Fault when it cannot be read."""
        try:
            document = json.loads(path.read_bytes())
            return cls(
                to=Path(document["to"]),
                job=document["job"],
                started=datetime.fromisoformat(document["started"]),
                streams=tuple(_stream(row) for row in document["streams"]),
                part=Fraction(document["part"]),
                segment=Fraction(document["segment"]),
                part_target=document["part_target"],
                target=document["target"],
                window=document["window"],
                vod=document["vod"],
                audio_only=document["audio_only"],
                shift=Fraction(document["shift"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Fault(f"{path} cannot be read: {error}") from error


def rendition_name(info: StreamInfo) -> str:
    """What a stream's playlist and folder are called: `video`, `audio`, and `video-1` for the first smaller picture."""
    return f"{info.kind}-{info.rung}" if info.rung else info.kind


def iframes_name(info: StreamInfo) -> str:
    """What the playlist of a picture's keyframes is called."""
    return f"{IFRAMES}-{info.rung}" if info.rung else IFRAMES


def _resolution(track: Track) -> str | None:
    return str(Size(track.avc.width, track.avc.height)) if track.avc else None


def packet_length(info: StreamInfo) -> int:
    """Samples in one packet of an audio stream."""
    return 1024 if info.codec is Codec.AAC else info.rate // 50


def write_file(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file whole or not at all; raises DestinationError naming it. A reader never sees half of it."""
    try:
        write_whole(path, data, durable=durable)
    except OSError as error:
        raise DestinationError(f"{path} cannot be written: {error.strerror}") from error


def _stream_row(info: StreamInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "kind": info.kind,
        "codec": info.codec,
        "time_base": str(info.time_base),
        "extradata": base64.b64encode(info.extradata).decode(),
        "bitrate": info.bitrate,
        "rate": info.rate,
        "channels": info.channels,
        "initial_padding": info.initial_padding,
        "rung": info.rung,
    }


def _stream(row: Mapping[str, Any]) -> StreamInfo:
    return StreamInfo(
        id=row["id"],
        kind=row["kind"],
        codec=Codec(row["codec"]),
        time_base=Fraction(row["time_base"]),
        extradata=base64.b64decode(row["extradata"]),
        bitrate=row["bitrate"],
        rate=row["rate"],
        channels=row["channels"],
        initial_padding=row["initial_padding"],
        rung=row["rung"],
    )
