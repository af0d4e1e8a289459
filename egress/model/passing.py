"""What flows of tracks that are passed on as they were sent: from a job's intakes to the sinks that write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from egress.model.media import EncodedFrame, Nanos
from egress.model.room import Peer, Track


@dataclass(frozen=True, slots=True)
class TrackTaken:
    """From now on a track is passed on; `at` is session time, here and below.

    `refresh` asks its sender for a keyframe: from any thread, as often as one likes.
    """

    track: Track
    peer: Peer
    at: Nanos
    refresh: Callable[[], None]


@dataclass(frozen=True, slots=True)
class TrackHushed:
    """A track that is passed on was muted, or is heard or seen again."""

    track: str
    muted: bool
    at: Nanos


@dataclass(frozen=True, slots=True)
class TrackLeft:
    """A track is passed on no longer; `counts` are what its source counted (MediaSource.stats)."""

    track: str
    at: Nanos
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackFrame:
    """One frame of a track: `at` is when it was captured, as well as is known when it is handed on.

    `epoch` changes with every break in the track's time: frames of one stand on one line of session time.
    """

    track: str
    frame: EncodedFrame
    at: Nanos
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where an RTP count of a track stands: `at` is what frames of it were given, `best` what is now known.

    `at` follows `best` slowly, as nobody wants to hear sound jump; who aligns files afterwards takes `best`. `reports`
    is how many sender reports it rests on.
    """

    track: str
    rtp: int
    at: Nanos
    best: Nanos
    epoch: int
    reports: int


PassedItem = TrackTaken | TrackHushed | TrackLeft | TrackFrame | Anchor


@dataclass(frozen=True, slots=True)
class Passed:
    """Some of these in their order: they travel together, as a hand-over between threads costs more than a frame."""

    items: tuple[PassedItem, ...]
