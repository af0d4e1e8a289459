"""What a worker is told: the job, its pipeline with every target resolved, where files go."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from egress.model.pipeline import Pipeline
from egress.model.streams import without_address


class JobOrder(BaseModel):
    """One job, whole: sent to the worker as one JSON line on stdin, kept in the spool without its secrets.

    Every sink's `to` is resolved: an absolute path or an address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    room: str
    title: str
    pipeline: Pipeline
    folder: str = Field(description="Absolute folder of this job in the spool.")
    manifest: str = Field(description="Absolute path or address of the manifest, which is written last.")
    seconds: float | None = Field(None, gt=0, description="End after this much of the programme.")
    whip_token: str | None = Field(None, description="Secret: publishers of a local room must present it.")
    room_options: dict[str, str] = Field(
        default_factory=dict, description="Secret: what the room's connector is told, like a pin or an API secret."
    )
    storage_options: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Secret: what storages are told, like keys, by the scheme of their addresses."
    )
    pictures: tuple[str, ...] = Field((), description="Absolute folders operators' pictures may be taken from.")
    private_avatars: bool = Field(False, description="Fetch pictures of peers from private addresses too.")
    ffmpeg: str = Field("", description="Absolute path of the ffmpeg some outputs are made with.")
    overwrite: bool = Field(False, description="Replace outputs that are there already.")
    attempt: Annotated[int, Field(ge=1, description="Which worker of the job this is for; those before it died.")] = 1
    detached: bool = Field(False, description="Outlive whoever started it: be reached by a socket in the folder.")
    preview: bool = Field(False, description="Keep a small picture of the programme, latest.jpg, in the folder.")
    log: str = Field("", description="Absolute path of the file for the worker's log; default its parent's stderr.")
    log_level: str = "WARNING"
    reorder: Annotated[int, Field(gt=0, description="Nanoseconds a late packet is waited for.")] = 300_000_000

    def without_secrets(self) -> dict[str, Any]:
        """The document as it may be kept on disk: no token or options, external streams without address."""
        sinks = tuple(without_address(sink) for sink in self.pipeline.sinks)
        kept = self.model_copy(update={"pipeline": self.pipeline.model_copy(update={"sinks": sinks})})
        return kept.model_dump(mode="json", exclude={"whip_token", "room_options", "storage_options"})
