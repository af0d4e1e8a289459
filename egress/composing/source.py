"""What the command names, found and read: a manifest, a folder of tracks, or a folder of plain files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from egress.composing import plainfiles, tracked
from egress.composing.footage import Footage
from egress.composing.tracked import Kept
from egress.model.errors import RequestError
from egress.model.manifest import Manifest
from egress.model.targets import file_part, scheme_of
from egress.model.trackfiles import TRACKS_FILE, TrackFiles

MANIFEST = "manifest.json"

_HOW = "record with a sink of kind tracks, as the pipeline tracks-only does, to have them"


def footage_of(source: Path) -> Footage:
    """The footage a path names; raises RequestError with what is wrong and how to mend it."""
    if source.is_file():
        if source.name == TRACKS_FILE:
            return _of_tracks(source.parent)
        if source.suffix.lower() != ".json":
            raise _refused(f"{source} is a file; name a manifest.json, or a folder of media files")
        return _of_manifest(source)
    if not source.is_dir():
        raise _refused(f"there is no {source}; name a job's manifest.json, or a folder of media files")
    try:
        if (source / TRACKS_FILE).is_file():
            return _of_tracks(source)
        if (source / MANIFEST).is_file():
            return _of_manifest(source / MANIFEST)
        return plainfiles.footage_of(source)
    except OSError as error:
        raise _refused(f"{source} cannot be read: {error.strerror or error}") from None


def _of_tracks(folder: Path) -> Footage:
    kept = _kept(folder)
    _check_files((kept,))
    return tracked.alone(kept)


def _of_manifest(path: Path) -> Footage:
    data = _json(path)
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        raise _refused(f"{path} is no manifest this version can read: {_first(error)}") from None
    places = [row.location for row in manifest.artifacts if row.kind == "tracks"]
    if not places:
        raise _refused(f"{path}: the job kept no tracks, so there is nothing to compose; {_HOW}")
    kept = []
    for place in places:
        one = _kept(_folder(place, path))
        kept.append(Kept(one.document, one.folder, tracked.since(manifest, one.document)))
    kept.sort(key=lambda one: one.since)
    _check_files(kept)
    return tracked.together(manifest, kept)


def _folder(place: str, manifest: Path) -> Path:
    """Where the tracks of a manifest lie: where they were delivered, or beside it if all of it was moved."""
    if scheme_of(place) != "file":
        raise _refused(f"{manifest}: its tracks are at {place}; copy that folder to this machine, and name it")
    folder = Path(file_part(place))
    beside = (folder, manifest.parent / folder.name, manifest.parent)
    found = next((one for one in beside if (one / TRACKS_FILE).is_file()), None)
    if found is None:
        raise _refused(f"{manifest}: its tracks are not at {place}, nor beside it; put them there")
    return found


def _kept(folder: Path) -> Kept:
    path = folder / TRACKS_FILE
    try:
        return Kept(TrackFiles.model_validate(_json(path)), folder)
    except ValidationError as error:
        raise _refused(
            f"{path} is of a version that cannot be read: {_first(error)}; use the one that wrote it"
        ) from None


def _check_files(kept: Any) -> None:
    files = [one.folder / row.name for one in kept for row in one.document.files]
    if not files:
        raise _refused(f"{kept[0].folder / TRACKS_FILE} lists no files: nobody had published anything; {_HOW}")
    for path in files:
        if not path.is_file():
            raise _refused(f"{path} is missing, though {TRACKS_FILE} lists it; put it there")
        plainfiles.check(path)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"


def _refused(message: str) -> RequestError:
    return RequestError(message, (("source", message),))
