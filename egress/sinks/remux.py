"""MP4 files copied packet by packet: made ordinary after a crash, or ended earlier, with their chapters and tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from egress.model.errors import DestinationError
from egress.model.media import SECOND, Nanos
from egress.sinks.marks import MarkLog, chapters

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer


def remux(
    source: Path,
    final: Path,
    tags: Mapping[str, str],
    marks: MarkLog,
    *,
    end: Nanos | None = None,
    index_first: bool = False,
) -> Nanos:
    """Copy every packet that can be read to an ordinary file; returns its length, 0 when there is none.

    With `end` the copy stops at the first keyframe shown then or later, its sound at the same time. Without tags it
    takes the source's. Raises DestinationError when `final` cannot be written.
    """
    length: Nanos = 0
    options = {"movflags": "faststart"} if index_first else {}
    try:
        with av.open(str(source)) as read, av.open(str(final), "w", format="mp4", options=options) as written:
            streams = {
                s.index: written.add_stream_from_template(s, opaque=True)
                for s in (*read.streams.video, *read.streams.audio)
            }
            if not streams:
                return 0
            written.metadata.update(tags or read.metadata)
            written.start_encoding()
            for packet in packets_of(read, end):
                length = max(length, _nanos(packet, (packet.pts or 0) + (packet.duration or 0)))
                packet.stream = streams[packet.stream.index]
                written.mux(packet)
            set_chapters(written, marks, length)
    except av.error.InvalidDataError:
        return 0
    except (av.FFmpegError, OSError) as error:
        raise DestinationError(f"{final} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    return length


def set_chapters(container: OutputContainer, marks: MarkLog, length: Nanos) -> None:
    """Give a file the chapters its marks make."""
    container.set_chapters(
        [
            {
                "id": number,
                "start": chapter.start,
                "end": chapter.end,
                "time_base": Fraction(1, SECOND),
                "metadata": {"title": chapter.title},
            }
            for number, chapter in enumerate(chapters(marks.marks, length), 1)
        ]
    )


def tags_of(path: Path) -> Mapping[str, str]:
    """The tags in a file; {} when it is no media."""
    try:
        with av.open(str(path)) as container:
            return dict(container.metadata)
    except (av.FFmpegError, OSError):
        return {}


def packets_of(read: InputContainer, end: Nanos | None = None) -> Iterator[av.Packet[Any]]:
    """The packets of a file up to where it was cut short, or up to `end` as `remux` has it."""
    return _until(_readable(read), end, picture=bool(read.streams.video))


def _readable(read: InputContainer) -> Iterator[av.Packet[Any]]:
    """The packets of a file up to where each stream was cut short."""
    lost: set[int] = set()
    try:
        for packet in read.demux(*read.streams.video, *read.streams.audio):
            if packet.dts is None or packet.pts is None or packet.stream.index in lost:
                continue
            if packet.is_corrupt:
                # Cut short by the end of the file: what follows in its stream could not be decoded.
                lost.add(packet.stream.index)
                continue
            yield packet
    except av.error.InvalidDataError:
        # The last fragment was cut short by the crash; what stands before it is whole.
        return


def _until(packets: Iterator[av.Packet[Any]], end: Nanos | None, *, picture: bool) -> Iterator[av.Packet[Any]]:
    """The packets before the first keyframe from `end` on; those of a sound alone end at `end`."""
    if end is None:
        yield from packets
        return
    stop = None if picture else end
    held: list[av.Packet[Any]] = []
    for packet in packets:
        at = _shown(packet)
        if packet.stream.type == "video":
            if stop is None and packet.is_keyframe and at >= end:
                stop = at
                yield from (sound for sound in held if _shown(sound) < stop)
                held.clear()
            if stop is None or at < stop:
                yield packet
        elif stop is None and at >= end:
            # How far the sound goes is known once the picture has its keyframe.
            held.append(packet)
        elif stop is None or at < stop:
            yield packet
    yield from held


def _shown(packet: av.Packet[Any]) -> Nanos:
    return _nanos(packet, packet.pts or 0)


def _nanos(packet: av.Packet[Any], count: int) -> Nanos:
    return int(count * packet.time_base * SECOND)


def copy_sound(source: Path, final: Path, form: str) -> None:
    """Copy the sound of a finished file into one of another format, whole or not at all, with tags and chapters.

    Raises DestinationError.
    """
    partial = final.with_name(f"{final.name}.part")
    try:
        with av.open(str(source)) as read, av.open(str(partial), "w", format=form) as written:
            stream = written.add_stream_from_template(read.streams.audio[0], opaque=True)
            written.metadata.update(read.metadata)
            written.set_chapters(read.chapters())
            for packet in _readable(read):
                packet.stream = stream
                written.mux(packet)
        partial.replace(final)
    except (av.FFmpegError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise DestinationError(f"{final} cannot be written: {getattr(error, 'strerror', None) or error}") from error
