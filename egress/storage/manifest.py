"""The manifest: what a job made and who was there, written last, as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from egress import __version__
from egress.model.job import Artifact, JobState
from egress.model.media import SECOND, Nanos
from egress.model.order import JobOrder
from egress.model.room import Peer


class Attendance:
    """When each peer was there, in session time."""

    def __init__(self) -> None:
        self._visits: list[dict[str, Any]] = []

    def joined(self, peer: Peer, at: Nanos) -> None:
        """A peer came, or came back after leaving."""
        if any(visit["id"] == peer.id and visit["left"] is None for visit in self._visits):
            return
        self._visits.append({"id": peer.id, "name": peer.name, "role": peer.role, "joined": at, "left": None})

    def left(self, peer: str, at: Nanos) -> None:
        """A peer went."""
        for visit in self._visits:
            if visit["id"] == peer and visit["left"] is None:
                visit["left"] = at

    def table(self) -> list[dict[str, Any]]:
        """One row a visit; times in seconds, `left` null for whoever stayed to the end."""
        return [
            {
                **visit,
                "joined": _seconds(visit["joined"]),
                "left": None if visit["left"] is None else _seconds(visit["left"]),
            }
            for visit in self._visits
        ]


def artifact_row(artifact: Artifact) -> dict[str, Any]:
    """An artifact as the manifest and events show it."""
    return {
        "kind": artifact.kind,
        "location": artifact.location,
        "size": artifact.size,
        "duration": _seconds(artifact.duration),
        "sha256": artifact.sha256,
        **artifact.details,
    }


def write_manifest(
    path: Path,
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
) -> None:
    """Write the manifest whole or not at all."""
    document = {
        "egress": __version__,
        "job": order.id,
        "room": order.room,
        "title": order.title,
        "pipeline": order.pipeline.name,
        "state": str(state),
        "reason": reason,
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "duration": _seconds(length),
        "peers": attendance.table(),
        "artifacts": [artifact_row(artifact) for artifact in artifacts],
        "figures": dict(figures),
    }
    write_json(path, document)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _seconds(nanos: Nanos) -> float:
    return round(nanos / SECOND, 6)
