"""`tracks.json` as a document: the files of a `tracks` sink, and what aligns them; and the JSON schema made of it."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from egress.model.media import Codec
from egress.model.room import TrackSource

TRACKS_FILE = "tracks.json"
SCHEMA_FILE = "tracks.schema.json"
"""The schema, beside this module."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Stretch(_Part):
    """A stretch of session time in seconds; `to` is null when it lasted to the end."""

    since: float = Field(alias="from")
    to: float | None


class Turn(_Part):
    """From when on pictures are to be turned."""

    at: float = Field(description="File time in seconds.")
    degrees: Literal[0, 90, 180, 270] = Field(description="Clockwise.")


class Losses(_Part):
    """What is not in the file although it was sent."""

    gaps: int = Field(description="Places where frames or packets were lost on the way.")
    undecodable: int = Field(description="Frames left out because what they refer to was lost, or before a keyframe.")
    paused: int = Field(description="Frames left out because an operator had it paused.")


class StreamRow(_Part):
    """One track in a file."""

    track: str = Field(description="The track's id, as in the manifest.")
    kind: Literal["audio", "video"]
    source: TrackSource
    codec: Codec
    size: str | None = Field(None, description="Of the first picture, like 640x360; VP8 may change it on the way.")
    frames: int = Field(description="Frames or packets written.")
    sync: tuple[tuple[float, float], ...] = Field(
        description="[file time, session time] in seconds: straight between points, and at rate 1 outside them."
    )
    muted: tuple[Stretch, ...] = Field(description="When it was muted: nothing was sent.")
    gaps: tuple[Stretch, ...] = Field(description="Where frames were lost.")
    lost: Losses
    turns: tuple[Turn, ...] = Field((), description="How the sender says its pictures are to be turned; upright if ().")


class PeerRow(_Part):
    """Who sent it."""

    id: str
    name: str
    role: str


class FileRow(_Part):
    """One file."""

    name: str = Field(description="In the folder of this document.")
    peer: PeerRow
    bytes: int
    start: float = Field(description="Session time in seconds of its file time 0.")
    end: float = Field(description="Session time in seconds.")
    recovered: bool = Field(description="Finished after its worker had died.")
    streams: tuple[StreamRow, ...]


class TrackFiles(_Part):
    """The tracks of one attempt of a job, each as it was sent; session time 0 is `started`."""

    egress: str = Field(description="Version that wrote it.")
    job: str
    room: str
    title: str
    attempt: int = Field(ge=1, description="Which worker of the job; session time is its own.")
    started: str = Field(description="ISO 8601 with time zone.")
    per: Literal["track", "participant"]
    files: tuple[FileRow, ...] = Field(description="In the order in which they begin.")


def schema_text() -> str:
    """The JSON schema (2020-12) of `tracks.json`."""
    made = TrackFiles.model_json_schema(by_alias=True)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Egress tracks"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
