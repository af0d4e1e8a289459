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
from egress.model.media import SECOND, Codec, Nanos, StreamInfo
from egress.model.outputs import CaptionsDoc, HlsDoc
from egress.sinks.playlist import Head, PlaylistType

INDEX, IFRAMES, CAPTIONS, INIT = "index.m3u8", "iframes", "captions", "init.mp4"

OWNER = ".job"
"""The file in a presentation's folder that names the job it belongs to; no other job's recovery touches it."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a presentation is made of and how it is cut.

    `part` and `segment` are the grid in seconds that every rendition is cut on, at the packet boundary nearest to it,
    so that part P of segment N is the same stretch of time in all of them. `part_target` is the longest part that
    gives. `shift` (seconds) is added to every timestamp where B-frames would have negative ones.

    `started` is when the first attempt of the job began, which all times in playlists and media count from; session
    time 0 of this one is `offset` after that. `joins` are the segments that later attempts began with.
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
    single_file: bool = False
    id3: bool = False
    captions: tuple[CaptionsDoc, ...] = ()
    shift: Fraction = Fraction(0)
    offset: Nanos = 0
    joins: tuple[int, ...] = ()
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
            single_file=doc.single_file,
            id3=doc.id3,
            captions=doc.captions,
        )

    @property
    def type(self) -> PlaylistType:
        """The type of its playlists while it is live."""
        return "event" if self.window is None else "sliding"

    def head(self, name: str, *, first: int = 0, ended: bool = False) -> Head:
        """The head of one rendition's playlist, live or ended, that lists segments from `first` on."""
        iframes = name.startswith(IFRAMES)
        return Head(
            type="vod" if ended and self.vod else self.type,
            target=self.target,
            started=self.started,
            map="" if name.startswith(CAPTIONS) else self.map(name, first),
            part_target=None if ended or iframes else self.part_target,
            reload=not ended,
            iframes=iframes,
        )

    def map(self, name: str, msn: int) -> str:
        """The init segment that segment `msn` of a rendition needs: each attempt of the job writes its own."""
        attempt = sum(join <= msn for join in self.joins)
        return f"{name.replace(IFRAMES, 'video', 1)}/{f'init-{attempt + 1}.mp4' if attempt else INIT}"

    def following(self, earlier: Presentation, msn: int, end: Nanos) -> Presentation:
        """The same as what goes on in the playlists of an earlier attempt with segment `msn`; its media end at `end`.

        Times count from the earlier one's beginning, so that dates and timestamps rise throughout.
        """
        since = round((self.started - earlier.started).total_seconds() * SECOND)
        return replace(
            self,
            started=earlier.started,
            offset=max(since, end),
            joins=(*(join for join in earlier.joins if join < msn), msn),
            shift=earlier.shift,
        )

    def ticks(self, timescale: int) -> int:
        """What is added to a track's own timestamps."""
        return round((self.shift + Fraction(self.offset, SECOND)) * timescale)

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
            "single_file": self.single_file,
            "captions": [track.model_dump() for track in self.captions],
            "shift": str(self.shift),
            "joins": list(self.joins),
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
                single_file=document["single_file"],
                captions=tuple(CaptionsDoc.model_validate(row) for row in document["captions"]),
                shift=Fraction(document["shift"]),
                joins=tuple(document["joins"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Fault(f"{path} cannot be read: {error}") from error


def rendition_name(info: StreamInfo) -> str:
    """What a stream's playlist and folder are called: `video`, `audio`, and `video-1` for the first smaller picture."""
    return f"{info.kind}-{info.rung}" if info.rung else info.kind


def iframes_name(info: StreamInfo) -> str:
    """What the playlist of a picture's keyframes is called."""
    return f"{IFRAMES}-{info.rung}" if info.rung else IFRAMES


def captions_name(language: str) -> str:
    """What the playlist and folder of one language's captions are called."""
    return f"{CAPTIONS}-{language.lower()}"


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
