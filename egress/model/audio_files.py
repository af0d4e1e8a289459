"""Files of the sound alone: which there are, and which need another codec than the programme's."""

from __future__ import annotations

from pathlib import PurePosixPath

from egress.model.outputs import AudioFileDoc

ENDINGS = (".m4a", ".ogg", ".mp3")

_OWN = {".m4a": "aac", ".ogg": "opus"}
"""The codec whose packets go into a file as they are."""

_ENCODERS = {".m4a": "aac", ".ogg": "libopus", ".mp3": "libmp3lame"}

BITRATE = {".m4a": (24_000, 512_000), ".ogg": (6_000, 510_000), ".mp3": (32_000, 320_000)}
"""Lowest and highest bits per second of each kind of file, both channels together."""


def ending(to: str) -> str:
    """The ending of a target in lower case, "" when it has none."""
    return PurePosixPath(to).suffix.lower()


def wanted(doc: AudioFileDoc, codec: str) -> str | None:
    """The encoder of ffmpeg that makes a file of a programme whose sound is `codec`; None: its packets do as they are.

    A bit rate of its own means encoding again.
    """
    kind = ending(doc.to)
    if doc.bitrate is None and _OWN.get(kind) == codec:
        return None
    return _ENCODERS.get(kind)
