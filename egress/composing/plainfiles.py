"""Plain media files in a folder as footage: each is one participant's, named by its file name, and all begin at 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import av
from av.stream import Disposition

from egress.composing.footage import Clip, Footage, Happening, Sync
from egress.model.errors import RequestError
from egress.model.media import SECOND, Nanos
from egress.model.room import Peer, PeerJoined, PeerLeft, Track, TrackPublished, TrackSource

ENDINGS = (
    ".mp4", ".m4v", ".mov", ".webm", ".mkv", ".ts", ".mts", ".m2ts", ".mpg", ".3gp", ".avi", ".wmv", ".flv",
    ".m4a", ".mp3", ".ogg", ".oga", ".opus", ".mka", ".weba", ".wav", ".aiff", ".flac", ".aac", ".ac3", ".wma",
)  # fmt: skip
"""What files of a folder are taken for media."""

TOGETHER: Nanos = SECOND // 2
"""Files that end this much earlier than the longest one end with it: nobody leaves for so short a while."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    kinds: Mapping[Literal["audio", "video"], Nanos]
    """What it holds, and how long that is."""
    length: Nanos
    created: datetime | None


def footage_of(folder: Path) -> Footage:
    """The footage of a folder's media files; raises RequestError when there are none, or one cannot be read."""
    there = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    paths = [path for path in there if path.suffix.lower() in ENDINGS]
    if not paths:
        message = f"{folder} holds no media files and no tracks.json; name a folder with some ({', '.join(ENDINGS)})"
        raise RequestError(message, (("source", message),))
    files = [_examined(path) for path in paths]
    length = max(file.length for file in files)
    happenings: list[Happening] = []
    clips: dict[str, tuple[Clip, ...]] = {}
    for file in files:
        peer = file.path.name
        happenings.append((0, PeerJoined(Peer(peer, file.path.stem))))
        for kind, end in file.kinds.items():
            track = f"{peer}:{kind}"
            source = TrackSource.CAMERA if kind == "video" else TrackSource.MIC
            happenings.append((0, TrackPublished(Track(track, peer, kind, source))))
            clips[track] = (Clip(file.path, kind, 0, Sync(((0, 0),)), 0, end, None, True),)
        if file.length < length - TOGETHER:
            happenings.append((file.length, PeerLeft(peer)))
    happenings.sort(key=lambda happening: happening[0])
    started = min((file.created for file in files if file.created), default=None) or datetime.now(UTC)
    name = folder.resolve().name
    left_out = tuple(path.name for path in there if path not in paths)
    return Footage(name, name, started, length, tuple(happenings), MappingProxyType(clips), left_out)


def check(path: Path) -> None:
    """Refuse a file that cannot be read; raises RequestError."""
    try:
        with av.open(str(path)):
            pass
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _refused(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _examined(path: Path) -> _File:
    try:
        with av.open(str(path)) as container:
            video = [stream for stream in container.streams.video if not _cover(stream)]
            length = (container.duration or 0) * 1000
            kinds: dict[Literal["audio", "video"], Nanos] = {}
            if video:
                kinds["video"] = _length(video[0], length)
            if container.streams.audio:
                kinds["audio"] = _length(container.streams.audio[0], length)
            created = _date(container.metadata.get("creation_time", ""))
    except (av.FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise _refused(path, f"cannot be read: {why}") from None
    if not kinds:
        raise _refused(path, "holds neither picture nor sound")
    if length <= 0:
        raise _refused(path, "does not say how long it is (a copy by `ffmpeg -i FILE -c copy COPY` does)")
    return _File(path, kinds, length, created)


def _length(stream: Any, whole: Nanos) -> Nanos:
    """How long a stream of a file is; the file, where it does not say so."""
    if stream.duration is None or stream.time_base is None:
        return whole
    return int(((stream.start_time or 0) + stream.duration) * stream.time_base * SECOND)


def _cover(stream: Any) -> bool:
    """Whether a picture is the cover of a song."""
    return bool(stream.disposition & Disposition.attached_pic)


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _refused(path: Path, what: str) -> RequestError:
    message = f"{path} {what}; mend it, or take it out of the folder to compose without it"
    return RequestError(message, (("source", message),))
