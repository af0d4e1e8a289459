"""The manifest: what a job made and who was there, written last, as JSON; a copy in the spool outlives its worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from egress import __version__
from egress.disk import read_json, write_json
from egress.model import registry
from egress.model.errors import Blame
from egress.model.job import Artifact, JobState
from egress.model.media import SECOND, Nanos, StreamInfo
from egress.model.order import JobOrder
from egress.model.targets import scheme_of
from egress.storage.attendance import Attendance, in_seconds
from egress.storage.receipt import keep_receipt, receipt

_FOLDER, _OUTCOME, _SENDING = "manifest", "outcome.json", "manifest.json"


_HEARD = ("mp4", "hls", "audio", "webm")
"""Kinds of artifacts that hold the programme's sound."""


def artifact_row(artifact: Artifact) -> dict[str, Any]:
    """An artifact as the manifest and events show it."""
    length = artifact.duration
    return {
        "kind": artifact.kind,
        "location": artifact.location,
        "size": artifact.size,
        "duration": in_seconds(length),
        "sha256": artifact.sha256,
        "bitrate": round(artifact.size * 8 * SECOND / length) if artifact.size and length else None,
        **artifact.details,
    }


def write_manifest(
    to: str,
    order: JobOrder,
    state: JobState,
    reason: str,
    *,
    started: datetime,
    ended: datetime,
    length: Nanos,
    attendance: Attendance,
    artifacts: Sequence[Artifact],
    figures: Mapping[str, Any],
    blame: Blame | None = None,
    streams: Sequence[StreamInfo] = (),
    attempts: Sequence[Mapping[str, Any]] = (),
    degraded: Mapping[str, int] | None = None,
) -> str:
    """Write the manifest (egress.model.manifest) whole or not at all, first into the spool folder; says where it is.

    Raises OSError, or DestinationError when it belongs to a storage elsewhere, which is asked and so blocks.

    It replaces an earlier job's, but not that of one which ended after this one had begun. `figures` are those of the
    last `alive` event, {} when nobody knows them. Without `attempts` this was the only one.
    `degraded` are the milliseconds of each step of degradation in all attempts; without it, those of `figures`.
    """
    loudness = _loudness(figures)
    only = {"number": 1, "started": started.isoformat(), "ended": ended.isoformat(), "why": reason}
    document = {
        "egress": __version__,
        "job": order.id,
        "room": order.room,
        "title": order.title,
        "pipeline": order.pipeline.name,
        "state": str(state),
        "reason": reason,
        "blame": str(blame) if blame else None,
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "duration": in_seconds(length),
        "attempts": [dict(attempt) for attempt in attempts] or [only],
        "peers": attendance.table(),
        "tracks": attendance.tracks(),
        "uncounted_visits": attendance.refused,
        "gaps": attendance.spans("gap"),
        "pauses": attendance.spans("pause"),
        "streams": [_stream(info, figures, length) for info in streams],
        "loudness": loudness,
        "artifacts": [_heard(artifact_row(artifact), loudness) for artifact in artifacts],
        "drops": _drops(figures),
        "degraded": {step: spent / 1000 for step, spent in (degraded or figures.get("degraded", {})).items()},
        "figures": dict(figures),
    }
    if Path(order.folder).is_dir():
        write_json(_outcome(order), document)
    return _deliver(to, order, document)


def outcome(order: JobOrder) -> dict[str, Any]:
    """How a dead worker's job ended, as its manifest says or would have said; {} when it never came to that."""
    return read_json(_outcome(order))


def complete_manifest(order: JobOrder, document: Mapping[str, Any], artifacts: Sequence[Artifact]) -> str:
    """Write the manifest of a job that ended before all was delivered, with what has been by now.

    Raises OSError or DestinationError.

    How the job went stays as it was; what lies in the spool gives way to where it went.
    """
    spool = f"{order.folder}/"
    places = {artifact.location for artifact in artifacts}
    rows = [
        row
        for row in document.get("artifacts", ())
        if row["location"] not in places and not row["location"].startswith(spool)
    ]
    rows += [_heard(artifact_row(artifact), document.get("loudness")) for artifact in artifacts]
    whole = {**document, "artifacts": rows, "recovered": datetime.now(UTC).isoformat()}
    write_json(_outcome(order), whole)
    return _deliver(order.manifest, order, whole)


def _loudness(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    told = figures.get("loudness")
    return {name: told[name] for name in ("integrated", "range", "true_peak", "clipped")} if told else None


def _heard(row: dict[str, Any], loudness: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**row, "loudness": loudness} if loudness and row["kind"] in _HEARD else row


def _stream(info: StreamInfo, figures: Mapping[str, Any], length: Nanos) -> dict[str, Any]:
    sent = figures.get("encoders", {}).get(info.id, {}).get("bytes")
    row = {"id": info.id, "kind": info.kind, "codec": info.codec, "bitrate": info.bitrate, "rung": info.rung}
    row["measured"] = round(sent * 8 * SECOND / length) if sent and length else None
    if info.kind == "audio":
        return {**row, "rate": info.rate, "channels": info.channels}
    return {**row, "size": str(info.size), "fps": round(float(info.fps), 3) if info.fps else None}


def _drops(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What every bounded queue has left out, from the figures each of them tells."""
    sinks: dict[str, int] = {}
    for sink in figures.get("sinks", ()):
        dropped = sink.get("dropped", 0)
        # Live streams tell pictures and sounds apart.
        lost = sum(dropped.values()) if isinstance(dropped, Mapping) else dropped
        sinks[sink["sink"]] = sinks.get(sink["sink"], 0) + sink["refused"] + lost
    return {
        "intakes": figures.get("intake", {}).get("dropped", 0),
        "encoders": {id: told["refused"] for id, told in figures.get("encoders", {}).items()},
        "sinks": sinks,
        "loudness": figures.get("loudness", {}).get("left_out", 0),
    }


def _deliver(to: str, order: JobOrder, document: Mapping[str, Any]) -> str:
    place = _store(to, order, document) if scheme_of(to) != "file" else _write(Path(to), order, document)
    if Path(order.folder).is_dir():
        keep_receipt(_outcome(order).parent, (Artifact("manifest", place),))
    return place


def _write(path: Path, order: JobOrder, document: Mapping[str, Any]) -> str:
    there = read_json(path)
    if there.get("job", order.id) != order.id and str(there.get("ended")) > str(document["started"]):
        path = path.with_name(f"{path.stem}-{order.id}{path.suffix}")
    write_json(path, document)
    return str(path)


def _store(to: str, order: JobOrder, document: Mapping[str, Any]) -> str:
    """Put it into a storage elsewhere: over its own, or beside another's unless the job may replace it."""
    folder = _outcome(order).parent
    earlier = receipt(folder) if folder.is_dir() else None
    own = earlier[0].location if earlier else ""
    source = folder / _SENDING
    write_json(source, document)
    storage = registry.load("storages", scheme_of(to))(order.storage_options.get(scheme_of(to)))
    address, slash, name = to.rpartition("/")
    beside = f"{address}{slash}{PurePosixPath(name).stem}-{order.id}{PurePosixPath(name).suffix}"
    replacing = bool(own) or order.overwrite
    return str(storage.put(source, own or to, beside="" if replacing else beside).location)


def _outcome(order: JobOrder) -> Path:
    return Path(order.folder) / _FOLDER / _OUTCOME
