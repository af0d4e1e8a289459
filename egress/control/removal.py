"""What a job made, taken away where it is: only what the job itself wrote, and what cannot be is told of."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from egress.control import artifacts, job_lists, jobs
from egress.control.jobs import KeptJob
from egress.control.sealing import Sealer
from egress.control.tables import artifacts as table
from egress.model import registry
from egress.model.errors import EgressError
from egress.model.targets import file_part, scheme_of
from egress.model.trackfiles import TRACKS_FILE

HLS = (
    "index.m3u8", "video*.m3u8", "audio.m3u8", "iframes*.m3u8", "captions-*.m3u8",
    "video/*", "video-[0-9]/*", "audio/*", "captions-*/*", ".job",
)  # fmt: skip
"""Names of files of a live stream in its folder; what else lies there was written by others."""

THUMBNAILS = (
    "thumb-*.jpg", "latest.jpg", "poster.jpg", "storyboard-*.jpg", "storyboard.vtt", "storyboard.json",
    "thumbnails.json",
)  # fmt: skip

_OWNER = ".job"

_log = logging.getLogger(__name__)

Options = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """Something a job made: a file, or those of a folder (an address that ends with a slash) that fit `names`.

    `size` is that of a file, where it is known; `others` are jobs that have it as well, or are about to.
    """

    location: str
    names: tuple[str, ...] = ()
    size: int | None = None
    others: tuple[str, ...] = ()


def places(connection: Connection, sealer: Sealer, job: KeptJob) -> tuple[Place, ...]:
    """What is to go with a job."""
    found = [place for made in artifacts.of_job(connection, job.id) for place in _places(made)]
    if manifest := job.live.get("manifest"):
        found.append(Place(str(manifest)))
    coming = _coming(connection, sealer)
    return tuple(
        Place(one.location, one.names, one.size, _others(connection, job.id, one.location, coming)) for one in found
    )


def remove(
    found: Sequence[Place], root: Path, job: str, options: Options, *, spooled: Path | None = None, holder: str = ""
) -> list[tuple[str, str]]:
    """Have all of it gone; gives what is left, and why. Blocks.

    Files go under `root` only, and in `spooled`, the job's own folder of the spool with what never came to its place.
    With a `holder`, another server that ran the job, those that are not here are left.
    """
    roots = [folder.resolve() for folder in (root, spooled) if folder is not None]
    left = []
    for place in found:
        try:
            why = _kept_for(place, roots, job, holder)
            if not why:
                scheme = scheme_of(place.location)
                where = file_part(place.location) if scheme == "file" else place.location
                registry.load("storages", scheme)(options.get(scheme, {})).remove(where, place.names)
        except EgressError as error:
            why = error.message
        if why:
            _log.warning("what job %s made stays: %s: %s", job, place.location, why)
            left.append((place.location, why))
    return left


def _places(made: artifacts.KeptArtifact) -> Iterator[Place]:
    folder = made.location if made.location.endswith("/") else f"{made.location}/"
    match made.kind:
        case "hls":
            yield Place(f"{made.location.rpartition('/')[0]}/", HLS)
        case "thumbnails":
            yield Place(folder, THUMBNAILS)
        case "tracks":
            yield Place(folder, (TRACKS_FILE, *(str(file["name"]) for file in made.details.get("files", ()))))
        case _:
            yield Place(made.location, size=made.size)
    for elsewhere in made.details.get("elsewhere", ()):
        yield Place(str(elsewhere))


def _coming(connection: Connection, sealer: Sealer) -> dict[str, list[str]]:
    """Where living jobs write, by job."""
    found = {}
    for living in job_lists.living(connection):
        _, document = jobs.request(connection, sealer, living.id)
        sinks: Sequence[Mapping[str, Any]] = (document or {}).get("pipeline", {}).get("sinks", ())
        found[living.id] = [str(sink["to"]) for sink in sinks if "to" in sink]
    return found


def _others(connection: Connection, job: str, location: str, coming: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Jobs beside this one that made the same, or are making it."""
    same = (
        table.c.location.like(f"{_plain(location)}%", escape="\\")
        if location.endswith("/")
        else (table.c.location == location)
    )
    made = connection.execute(select(table.c.job).where(same, table.c.job != job).distinct()).scalars()
    making = (id_ for id_, where in coming.items() if any(one.rstrip("/") == location.rstrip("/") for one in where))
    return tuple(sorted({*made, *making}))


def _plain(text: str) -> str:
    """Text for LIKE that stands for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _kept_for(place: Place, roots: Sequence[Path], job: str, holder: str) -> str:
    """Why something is not to go; "" when it may."""
    if place.others:
        return f"it is of job {', '.join(place.others)} as well"
    if scheme_of(place.location) != "file":
        return ""
    path = Path(file_part(place.location))
    whole = path.resolve()
    if whole in roots or not any(whole.is_relative_to(root) for root in roots):
        # Whatever a document said, what is outside of the output folder is not ours to take away.
        return "it is outside of the output folder"
    if holder and not path.exists():
        return f"it is not on this machine; ask the server that ran the job, {holder}"
    try:
        if place.names and place.names[-1] == _OWNER and (path / _OWNER).is_file():
            owner = (path / _OWNER).read_text("utf-8", "replace")[:100]
            return "" if owner == job else f"it is of job {owner} by now"
        if place.size is not None and path.is_file() and path.stat().st_size != place.size:
            return f"another file of {path.stat().st_size} bytes is there by now"
        if path.suffix == ".json" and place.size is None and path.is_file():
            return "" if _job_of(path) in (None, job) else "it is another job's by now"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""


def _job_of(manifest: Path) -> str | None:
    try:
        document = json.loads(manifest.read_bytes())
        return str(document["job"])
    except (ValueError, KeyError, TypeError):
        return None
