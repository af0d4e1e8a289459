"""WebVTT segments of HLS: the cues of some stretch of time, tied to the timestamps of the media."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from egress.model.media import MILLISECOND, Nanos

_CLOCK = 90_000
_WRAP = 1 << 33
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are shown from one session time to another."""

    start: Nanos
    end: Nanos
    text: str


def segment(cues: Iterable[Cue], start: Nanos, end: Nanos, shift: Fraction) -> bytes:
    """The cues that are shown at any time from `start` to `end`, each with its whole time; also when there are none.

    `shift` (seconds) is what the media's timestamps are ahead of session time: X-TIMESTAMP-MAP (RFC 8216, 3.5) says so
    in ticks of 90 kHz, which wrap at 33 bits.
    """
    lines = ["WEBVTT", f"X-TIMESTAMP-MAP=MPEGTS:{round(shift * _CLOCK) % _WRAP},LOCAL:00:00:00.000"]
    for cue in sorted(cues, key=lambda cue: (cue.start, cue.end)):
        if cue.start < end and cue.end > start:
            lines += ["", f"{_time(cue.start)} --> {_time(cue.end)}", *_words(cue.text)]
    # An empty line at the end: some players read segments as one file.
    return ("\n".join(lines) + "\n\n").encode()


def _time(at: Nanos) -> str:
    millis = (at + MILLISECOND // 2) // MILLISECOND
    seconds, millis = divmod(millis, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{millis:03d}"


def _words(text: str) -> list[str]:
    """The lines of a cue: an empty one would end it, and marks of the format are text here."""
    lines = ("".join(c if c.isprintable() else " " for c in line).strip() for line in text.splitlines())
    return [line.translate(_ESCAPES) for line in lines if line]
