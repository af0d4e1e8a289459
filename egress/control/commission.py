"""From a request for a job, and the template it names, to the order for its worker: checked whole before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from egress import ordering
from egress import pipelines as shipped
from egress.control import jobs, pipelines_kept, templates
from egress.control.sealing import Sealer
from egress.model import checking, targets
from egress.model.errors import NotFound, RequestError
from egress.model.media import MILLISECOND, SECOND
from egress.model.order import JobOrder
from egress.model.outputs import SinkDoc
from egress.model.overriding import overridden
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, refuse
from egress.model.request import Destination, JobRequest, Overrides
from egress.model.settings import Settings
from egress.model.streams import STREAM_DOCS
from egress.model.template import TemplateDoc

LOGS = "logs"
"""The folder in the spool with a log a job."""

_INLINE = "inline"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request comes to: the whole request, its pipeline as the job has it, and where pictures may lie."""

    request: JobRequest
    pipeline: Pipeline
    pictures: tuple[Path, ...]
    template: str | None = None
    unique_room: str | None = None


def plan(
    connection: Connection, sealer: Sealer, settings: Settings, request: JobRequest, template: str | None = None
) -> Plan:
    """Find what a request names and put it together; what it says itself stands above its template.

    Raises RequestError with what is wrong; nothing is asked outside of the database.
    """
    name = template or request.template
    doc = _template(connection, sealer, name) if name is not None else None
    if request.pipeline is None and doc is None:
        wrong = "is required: name a pipeline, or a template that has one"
        raise RequestError(f"pipeline {wrong}", (("pipeline", wrong),))
    chosen = request.pipeline if request.pipeline is not None or doc is None else doc.pipelines[0]
    assert chosen is not None
    if doc is not None:
        request = merged(request, doc, chosen)
    pipeline, pictures = _pipeline(connection, sealer, chosen, settings.assets)
    pipeline = overridden(pipeline, request.overrides, roles=doc.roles if doc is not None else None)
    whole = request.model_copy(update={"pipeline": chosen, "template": name})
    key = None
    if doc is not None and doc.one_per_room:
        key = jobs.unique_key(doc.name, request.room, pipeline.name)
    return Plan(whole, _streaming(pipeline, request.destinations), pictures, name, key)


def order(plan: Plan, settings: Settings, root: Path) -> JobOrder:
    """The complete, checked order of a plan; `root` is the output folder.

    Raises RequestError with every problem. Storages elsewhere are asked: this takes seconds.
    """
    request, spool = plan.request, settings.spool
    token = settings.whip_token.reveal() if settings.whip_token else None
    made = ordering.order_of(
        request.room,
        plan.pipeline,
        pictures=plan.pictures,
        root=root,
        spool=spool,
        seconds=_seconds(request),
        whip_token=request.room_options.get("token", token) if request.room.startswith("local:") else None,
        room_options={**settings.room_options(request.room), **request.room_options},
        reorder=settings.reorder_ms * MILLISECOND,
        log_level=settings.log_level,
        private_avatars=settings.private_avatars,
        storage_options=settings.storage_options(),
        ffmpeg=settings.ffmpeg,
    )
    return made.model_copy(update={"log": str(log_of(spool, made.id)), "preview": made.pipeline.video is not None})


def kept(made: JobOrder) -> dict[str, Any]:
    """An order as it is sealed beside its job, secrets and all, but for what the settings say again."""
    return made.model_dump(mode="json", exclude={"storage_options", "log_level"})


def restored(document: Mapping[str, Any], settings: Settings) -> JobOrder:
    """The order of a job that was kept; storages are told what the settings say by now."""
    told = {"storage_options": settings.storage_options(), "log_level": settings.log_level}
    return JobOrder.model_validate({**document, **told})


def log_of(spool: Path, job: str) -> Path:
    """Where the log of a job's workers is."""
    return spool / LOGS / f"{job}.log"


def merged(request: JobRequest, doc: TemplateDoc, pipeline: str | dict[str, Any]) -> JobRequest:
    """The request with what its template says wherever it says nothing itself.

    Destinations of both are streamed to; those of the template go with its first pipeline only.
    """
    first = pipeline == doc.pipelines[0]
    return request.model_copy(
        update={
            "overrides": _over(doc, request.overrides),
            "destinations": (*(doc.destinations if first else ()), *request.destinations),
            "room_options": {**doc.room_options, **request.room_options},
            "metadata": {**doc.metadata, **request.metadata},
        }
    )


def _over(doc: TemplateDoc, mine: Overrides) -> Overrides:
    theirs = doc.overrides
    stop = {**_object(theirs.stop), **doc.stop.model_dump(mode="json", exclude_none=True), **_object(mine.stop)}
    said = {name: value for name in Overrides.model_fields if (value := getattr(mine, name)) is not None}
    changes = said | {"stop": stop or mine.stop, "to": {**(theirs.to or {}), **(mine.to or {})} or None}
    return theirs.model_copy(update=changes)


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _template(connection: Connection, sealer: Sealer, name: str) -> TemplateDoc:
    try:
        return templates.open_template(connection, sealer, name)
    except NotFound as error:
        # Of a request that names it, it is the request that is wrong, not its address.
        raise RequestError(error.message, (("template", "is no template's name"),)) from None


def _pipeline(
    connection: Connection, sealer: Sealer, chosen: str | dict[str, Any], assets: Path | None
) -> tuple[Pipeline, tuple[Path, ...]]:
    """The pipeline by name or as a document, and where its pictures may lie."""
    folders = (assets,) if assets else ()
    if isinstance(chosen, str):
        try:
            pipeline = pipelines_kept.load(connection, sealer, chosen)
        except NotFound as error:
            raise RequestError(error.message, (("pipeline", "is no pipeline's name"),)) from None
        return pipeline, (shipped.folder(), *folders) if chosen in shipped.names() else folders
    document, problems = checking.examine({"name": _INLINE, **chosen})
    if problems or document is None:
        raise refuse("the pipeline", [Problem(f"pipeline.{found.path}", found.message) for found in problems])
    return document, folders


def _streaming(pipeline: Pipeline, destinations: Sequence[Destination]) -> Pipeline:
    """The pipeline with the external streams that were asked for, by the names they were given."""
    found: list[Problem] = []
    names: set[str] = set()
    for index, destination in enumerate(destinations):
        if destination.name and destination.name in names:
            found.append(Problem(f"destinations[{index}].name", "is that of another one; choose another"))
        names.add(destination.name)
    if found:
        raise refuse("the job", found)
    named = {destination.to: destination.name for destination in destinations}
    with_streams = targets.with_streams(pipeline, [destination.to for destination in destinations])

    def name(sink: SinkDoc) -> SinkDoc:
        given = named.get(sink.to, "") if isinstance(sink, STREAM_DOCS) else ""
        return sink.model_copy(update={"name": given}) if given else sink

    return with_streams.model_copy(update={"sinks": tuple(name(sink) for sink in with_streams.sinks)})


def _seconds(request: JobRequest) -> float | None:
    told = (request.overrides.seconds, None if request.duration is None else request.duration / SECOND)
    return min((seconds for seconds in told if seconds is not None), default=None)
