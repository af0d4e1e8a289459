"""Where a job of the service is to be reached while it runs, how it looks, and how its external streams are doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from egress.model.order import JobOrder
from egress.model.outputs import HlsDoc
from egress.model.places import room_name
from egress.model.streams import STREAM_DOCS, shown_stream
from egress.model.targets import scheme_of

_OF_DESTINATIONS = ("name", "to", "state", "reason", "bytes", "retries")


def addresses(order: JobOrder) -> dict[str, Any]:
    """Where a job is to be reached and how it looks, as far as that is known before its worker begins."""
    streams = [sink for sink in order.pipeline.sinks if isinstance(sink, STREAM_DOCS)]
    name = room_name(order.room)
    live = any(isinstance(sink, HlsDoc) and scheme_of(sink.to) == "file" for sink in order.pipeline.sinks)
    destinations = [
        {"name": sink.name or shown_stream(sink.to), "to": shown_stream(sink.to), "kind": sink.kind} for sink in streams
    ]
    return {
        "live": {"url": f"/live/{quote(name, safe='')}/", "name": name} if live else None,
        "layout": order.pipeline.layout.kind,
        "manifest": order.manifest,
        "thumbnail": f"/api/v1/jobs/{order.id}/thumbnail" if order.preview else None,
        "destinations": [{**one, "state": "connecting"} for one in destinations],
    }


def told_of(known: Sequence[Mapping[str, Any]], event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Destinations after one of them told how it is."""
    said: dict[str, Any] = {"reason": ""} | {name: event[name] for name in _OF_DESTINATIONS if name in event}
    kind = "srt" if str(event.get("to", "")).startswith("srt:") else "rtmp"
    told = [{**one, **said} if one.get("name") == event.get("name") else {**one} for one in known]
    return told if any(one.get("name") == event.get("name") for one in known) else [*told, {"kind": kind, **said}]
