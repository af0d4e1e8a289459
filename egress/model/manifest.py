"""The manifest as a document: every field, and the JSON schema made of them."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from egress.model.job import JobState
from egress.model.media import Codec
from egress.model.room import TrackSource

SCHEMA_FILE = "manifest.schema.json"
"""The schema, beside this module."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RoleSpan(_Part):
    """From when a peer had a role."""

    role: str
    since: float = Field(description="Session time in seconds.")


class PeerVisit(_Part):
    """One visit of one peer; who comes back has another row."""

    id: str
    name: str = Field(description="The latest one.")
    role: str = Field(description="The latest one.")
    roles: tuple[RoleSpan, ...] = Field(description="Every role it had, the first one from when it joined.")
    joined: float = Field(description="Session time in seconds.")
    left: float | None = Field(description="Session time in seconds; null: stayed to the end.")


class Span(_Part):
    """A stretch of session time, in seconds; `to` is null when it lasted to the end."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    since: float = Field(alias="from")
    to: float | None
    reason: str | None = None


class TrackRow(_Part):
    """One track a peer published while the pipeline took part of it."""

    id: str
    peer: str = Field(description="The peer's id.")
    kind: Literal["audio", "video"]
    source: TrackSource
    codec: Codec | None = Field(description="As it was sent; null where the room did not say.")
    published: float = Field(description="Session time in seconds.")
    unpublished: float | None = Field(description="Session time in seconds; null: was there at the end.")
    muted: tuple[Span, ...] = Field(description="When it was muted.")


class Attempt(_Part):
    """One worker's run of the job: there is more than one where a worker died and another went on."""

    number: int = Field(ge=1)
    started: str = Field(description="ISO 8601 with time zone.")
    ended: str | None = Field(description="ISO 8601 with time zone; null: nobody knows.")
    why: str = Field(description="Why it ended.")


class LoudnessRow(_Part):
    """How loud the sound is, null where there was only silence (EBU R128, ITU-R BS.1770-4)."""

    integrated: float | None = Field(description="LUFS over all of it.")
    range: float | None = Field(description="LRA in LU.")
    true_peak: float | None = Field(description="dBTP.")
    clipped: int = Field(description="Samples at full scale or beyond.")


class StreamRow(_Part):
    """What was encoded once for all outputs."""

    id: str
    kind: Literal["audio", "video"]
    codec: Codec
    size: str | None = Field(None, description="Of the picture, like 1280x720.")
    fps: float | None = Field(None, description="Pictures a second.")
    rate: int | None = Field(None, description="Samples a second.")
    channels: int | None = None
    bitrate: int = Field(description="Bits per second asked for.")
    measured: int | None = Field(description="Bits per second on average, as encoded; null: nobody knows.")
    rung: int = Field(0, description="0 is the programme, n the n-th smaller picture of its ladder.")


class ArtifactRow(BaseModel):
    """One thing that was made; each kind adds what is worth knowing of it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field(description="The kind of sink, like mp4.")
    location: str = Field(description="A path or address.")
    size: int = Field(description="Bytes.")
    duration: float = Field(description="Seconds of media.")
    sha256: str = Field(description='Of the file; "" where it is no single file or too large to read once more.')
    bitrate: int | None = Field(None, description="Bits per second, size over duration; null where it has none.")
    codecs: tuple[str, ...] | None = Field(None, description="RFC 6381 names.")
    loudness: LoudnessRow | None = Field(None, description="Of its sound, where it has the programme's.")


class Drops(_Part):
    """What did not fit each bounded queue, so that something is missing: all 0 in a job that went well."""

    intakes: int = Field(description="Frames and packets of tracks, all together.")
    encoders: dict[str, int] = Field(description="Pictures or blocks of sound, by stream.")
    sinks: dict[str, int] = Field(description="Packets and marks, by sink.")
    loudness: int = Field(description="Samples that were not measured.")


class Manifest(_Part):
    """What a job made and who was there; session time 0 is `started`."""

    egress: str = Field(description="Version that wrote it.")
    job: str
    room: str
    title: str
    pipeline: str = Field(description="Its name.")
    state: JobState = Field(description="finished, failed or aborted.")
    reason: str = Field(description="Why it ended.")
    blame: str | None = Field(description="Whose fault a failure was: request, room, destination or us.")
    started: str = Field(description="ISO 8601 with time zone.")
    ended: str = Field(description="ISO 8601 with time zone.")
    recovered: str | None = Field(None, description="When a later recovery completed it; ISO 8601.")
    duration: float = Field(description="Seconds of programme.")
    attempts: tuple[Attempt, ...]
    peers: tuple[PeerVisit, ...]
    tracks: tuple[TrackRow, ...]
    uncounted_visits: int = Field(description="Visits, tracks and spans beyond what a manifest lists.")
    gaps: tuple[Span, ...] = Field(description="When the room could not be reached.")
    pauses: tuple[Span, ...] = Field(description="When an operator had it paused.")
    streams: tuple[StreamRow, ...]
    loudness: LoudnessRow | None = Field(description="Of the mix before it is encoded; null: nobody knows.")
    artifacts: tuple[ArtifactRow, ...]
    drops: Drops
    degraded: dict[str, float] = Field(
        {}, description="Seconds for which each step of degradation under overload was in force, in all attempts."
    )
    figures: dict[str, Any] = Field(description="The last alive event's figures; they vary with what the job did.")


PARTS: tuple[type[BaseModel], ...] = (
    Manifest,
    Attempt,
    PeerVisit,
    RoleSpan,
    TrackRow,
    Span,
    StreamRow,
    LoudnessRow,
    ArtifactRow,
    Drops,
)
"""Every part of the document, the whole first."""


def schema_text() -> str:
    """The JSON schema (2020-12) of a manifest."""
    made = Manifest.model_json_schema(by_alias=True)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Egress manifest"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
