"""What a webhook is sent about an event: as Standard Webhooks suggests, or in the words of LiveKit's egress."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from egress.control.deliveries import Delivery
from egress.control.hooks import Address, Mode
from egress.control.signing import livekit_headers, standard_headers
from egress.control.values import rfc3339

LARGEST = 20_000
"""Bytes a body may have (Standard Webhooks, "Payload size")."""

_ALWAYS = ("job", "id", "room", "room_name", "template", "pipeline", "state", "reason", "blame", "kind", "location")
"""What of an event is kept when all of it would be too large."""

_LIVEKIT_EVENTS = {
    "starting": "egress_started",
    "finished": "egress_ended",
    "failed": "egress_ended",
    "aborted": "egress_ended",
}
_LIVEKIT_FILES = 20
_LIVEKIT_STATES = {
    "starting": "EGRESS_STARTING",
    "running": "EGRESS_ACTIVE",
    "recovering": "EGRESS_ACTIVE",
    "stopping": "EGRESS_ENDING",
    "finished": "EGRESS_COMPLETE",
    "failed": "EGRESS_FAILED",
    "aborted": "EGRESS_ABORTED",
}


def message(delivery: Delivery, mode: Mode) -> bytes | None:
    """The body of a delivery; None when the mode has no word for its event."""
    said: dict[str, Any] = json.loads(delivery.body)
    if mode == "livekit":
        return _livekit(delivery, said)
    whole = {"type": delivery.type, "timestamp": rfc3339(delivery.created), "data": said}
    body = _bytes(whole)
    if len(body) <= LARGEST:
        return body
    rows = said.get("artifacts")
    if isinstance(rows, list) and rows:
        bare = len(_bytes({**whole, "data": {**said, "artifacts": [], "artifacts_left_out": len(rows)}}))
        sizes = accumulate((len(_bytes(row)) + 1 for row in rows), initial=bare)
        fitting = sum(size <= LARGEST for size in sizes) - 1
        if fitting >= 0:
            kept = {**said, "artifacts": rows[:fitting], "artifacts_left_out": len(rows) - fitting}
            return _bytes({**whole, "data": kept})
    # Whoever wants the rest asks the API for the job.
    short = {name: said[name] for name in _ALWAYS if len(_bytes({name: said.get(name)})) < 1000 and name in said}
    return _bytes({**whole, "data": {**short, "left_out": sorted(set(said) - set(short))[:50]}})


def signed(delivery: Delivery, address: Address, mode: Mode, body: bytes, at: int) -> dict[str, str]:
    """The headers of a delivery sent at a time, in seconds."""
    secrets = [secret.reveal() for secret in address.secrets]
    if mode == "livekit":
        return livekit_headers(address.name, secrets[0], body, at)
    return standard_headers(secrets, delivery.event_id, at, body)


def _livekit(delivery: Delivery, said: Mapping[str, Any]) -> bytes | None:
    state = str(said.get("state", ""))
    if not delivery.type.startswith("job.") or state not in _LIVEKIT_STATES:
        return None
    rows = said.get("artifacts")
    rows = rows if isinstance(rows, list) else []
    info = {
        "egress_id": said.get("job"),
        "room_name": said.get("room_name"),
        "status": _LIVEKIT_STATES[state],
        "error": said.get("reason") if state in ("failed", "aborted") else "",
        "updated_at": str(delivery.created * 1000),
        "file_results": [
            {
                "filename": row.get("location"),
                "location": row.get("location"),
                "size": str(row.get("size", 0)),
                "duration": str(round(float(row.get("duration", 0)) * 1e9)),
            }
            for row in rows[:_LIVEKIT_FILES]
        ],
    }
    event = _LIVEKIT_EVENTS.get(state, "egress_updated")
    created = str(delivery.created // 1_000_000)
    whole = {"event": event, "id": delivery.event_id, "createdAt": created, "egressInfo": info}
    body = _bytes(whole)
    return body if len(body) <= LARGEST else _bytes({**whole, "egressInfo": {**info, "file_results": []}})


def _bytes(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
