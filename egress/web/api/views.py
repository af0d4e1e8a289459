"""What the API answers with, for its description: answers are made elsewhere, and tests hold them to these."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from egress.control.hooks import Mode
from egress.control.occurrences import OccurrenceState
from egress.control.tokens import Kind
from egress.model.errors import Blame
from egress.model.job import JobState
from egress.model.request import Scope
from egress.model.schedule import ScheduleDoc


class View(BaseModel):
    """Something the API says."""

    model_config = ConfigDict(extra="forbid")


class Detail(View):
    """One thing wrong with a request."""

    field: str = Field(description="Where, like overrides.layout or sinks[1].to; empty for the whole.")
    message: str = Field(description="What is wrong, and how to mend it.")


class Error(View):
    """Every error."""

    code: str = Field(description="What kind of error, the same for ever.", examples=["not_found"])
    message: str = Field(description="What is wrong and how to mend it, for people.")
    details: tuple[Detail, ...] = Field(description="Each thing that is wrong, where that is known.")
    blame: Blame = Field(description="Who has to do something about it: us is Egress itself.")


class DestinationView(BaseModel):
    """One external stream of a job."""

    name: str = Field(description="What it is called in this job.")
    to: str = Field("", description="Its address, without what is secret in it.")
    kind: str = Field("", description="rtmp or srt.")
    state: str = Field("", description="How it is: connecting, live, retrying, failed, ended.")
    bytes: int = Field(0, description="Sent so far.")
    bitrate: float = Field(0, description="Bits a second lately.")
    retries: int = Field(0, description="How often it was connected anew.")
    reason: str = Field("", description="Why it is not live.")


class Links(View):
    """Where else to look."""

    self: str
    live: str | None
    manifest: str | None
    publish: str | None


class JobView(View):
    """A job: one visit to one room, made into media."""

    id: str
    room: str = Field(description="The address of the room.")
    room_name: str = Field(description="The name people know it by.")
    pipeline: str
    template: str | None
    trigger: str | None = Field(description="What started it, where that was no caller.")
    schedule: str | None = Field(description="The schedule it is of.")
    state: JobState
    desired: Literal["run", "stop"]
    paused: bool = Field(description="Whether a pause lasts.")
    reason: str = Field(description="Why it stops, ended or failed.")
    blame: Blame | None = Field(description="Whose fault it is that it failed.")
    attempts: int = Field(description="How often a worker was started for it.")
    created: datetime
    started: datetime | None
    ended: datetime | None
    duration: float = Field(description="Seconds of media so far.")
    cost: float = Field(description="Cores it is expected to need.")
    server: str | None
    caller: str = Field(description="Who asked for it.")
    links: Links
    live: dict[str, Any] | None = Field(description="Where it is watched: url.")
    whip: str | None = Field(description="Where publishers come in.")
    thumbnail: str | None = Field(description="Its latest picture.")
    layout: str | None = Field(description="The kind of layout people see; null once the job is over.")
    destinations: tuple[DestinationView, ...]
    metadata: dict[str, str]
    figures: dict[str, Any] | None = Field(description="How it is doing, about once a second.")


class JobPage(View):
    """Jobs, the latest first."""

    items: tuple[JobView, ...]
    next: str | None


class Answer(View):
    """What a job said to a command."""

    ok: bool
    message: str = ""


class EventView(View):
    """Something that happened."""

    seq: int = Field(description="Its place in the order of all events.")
    job: str | None
    at: datetime
    type: str
    body: dict[str, Any]


class EventPage(View):
    """Events in order; ask again with `since` of the last one for what follows."""

    items: tuple[EventView, ...]
    next: str | None


class ArtifactView(View):
    """Something a job made."""

    id: str
    job: str
    kind: str
    location: str = Field(description="Where it is: a path on the server, or an address in a store.")
    size: int
    duration: float = Field(description="Seconds of media.")
    sha256: str
    created: datetime
    url: str | None = Field(description="Where to fetch it, without a key, until `expires`.")
    expires: datetime | None
    details: dict[str, Any]


class ArtifactPage(View):
    """Artifacts, the latest first."""

    items: tuple[ArtifactView, ...]
    next: str | None


class UrlView(View):
    """An address for a while."""

    url: str
    expires: datetime | None


class PipelineItem(View):
    """A pipeline in a list."""

    name: str
    about: str
    own: bool = Field(description="false: it comes with Egress and cannot be changed.")
    version: int | None


class PipelinePage(View):
    """Pipelines by name."""

    items: tuple[PipelineItem, ...]
    next: str | None


class PipelineView(PipelineItem):
    """A pipeline."""

    document: str = Field(description="As its author wrote it, YAML or JSON.")


class CheckProblem(Detail):
    """One thing wrong with a document."""

    line: int | None = Field(description="Of the text, from 1.")


class CheckView(View):
    """What is wrong with a pipeline, if anything."""

    ok: bool
    name: str | None
    problems: tuple[CheckProblem, ...]
    warnings: tuple[str, ...]


class TemplateView(View):
    """A template."""

    name: str
    document: dict[str, Any] = Field(description="As it was put, without its secrets.")
    version: int
    created: datetime
    updated: datetime


class TemplatePage(View):
    """Templates by name."""

    items: tuple[TemplateView, ...]
    next: str | None


class ScheduleView(ScheduleDoc):
    """A schedule, without its secrets."""

    id: str
    paused: bool
    next: tuple[datetime, ...] = Field(description="When it fires next; none while it is paused.")
    created: datetime
    updated: datetime
    version: int


class SchedulePage(View):
    """Schedules, the latest first."""

    items: tuple[ScheduleView, ...]
    next: str | None


class OccurrenceView(View):
    """One time of a schedule."""

    fire_at: datetime = Field(description="The time it is for.")
    state: OccurrenceState
    job: str | None
    note: str
    at: datetime = Field(description="When that came to be.")
    server: str | None


class OccurrencePage(View):
    """Times of a schedule, the latest first."""

    items: tuple[OccurrenceView, ...]
    next: str | None


class WebhookView(View):
    """A webhook."""

    id: str
    url: str = Field(description="Where it is sent, without what is secret in it.")
    events: tuple[str, ...]
    mode: Mode
    enabled: bool
    note: str
    created: datetime
    updated: datetime
    secret: str | None = Field(None, description="What signs it; said once, when it was made here.")


class WebhookPage(View):
    """Webhooks, the latest first."""

    items: tuple[WebhookView, ...]
    next: str | None


class DeliveryView(View):
    """One event told, or to be told, to a webhook."""

    id: str
    webhook: str
    event_id: str
    type: str
    job: str | None
    state: Literal["waiting", "delivered", "failed", "dropped"]
    attempts: int
    status: int | None = Field(description="What the receiver answered last.")
    error: str
    created: datetime
    next_at: datetime | None
    delivered_at: datetime | None
    body: dict[str, Any]


class DeliveryPage(View):
    """Deliveries, the latest first."""

    items: tuple[DeliveryView, ...]
    next: str | None


class KeyView(View):
    """An API key, without its secret part."""

    id: str
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    rooms: tuple[str, ...]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None
    key: str | None = Field(None, description="What to present; said once, when it is made.")


class KeyPage(View):
    """All keys, the latest first."""

    items: tuple[KeyView, ...]
    next: str | None


class TokenView(View):
    """A token."""

    token: str
    kind: Kind
    expires: datetime


class ServerView(BaseModel):
    """The server, and how much it can carry."""

    version: str
    name: str
    id: str
    started: datetime
    draining: bool
    capacity: dict[str, float] = Field(description="Cores: total, used, free.")
    disk: dict[str, int] = Field(description="Bytes of the output folder: total, free.")
    rooms: tuple[str, ...] = Field(description="Schemes of room addresses.")
    programs: dict[str, bool] = Field(description="Programs some outputs need: whether each is there.")
    publishing: dict[str, Any] = Field(description="How publishers come in: whether they need a token.")
    playback: dict[str, Any] = Field(description="How live streams are watched: whether a token is needed.")
    open: bool = Field(description="Whether everybody on this machine may do everything: there is no key yet.")
    servers: tuple[dict[str, Any], ...] = Field(description="All that share the database.")
