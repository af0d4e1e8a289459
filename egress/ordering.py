"""From what a user asks for to a job order: pipeline found, targets resolved, everything checked before it starts."""

from __future__ import annotations

import math
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Required, TypedDict, Unpack

from egress import pipelines, programs
from egress.model import checking, janus_address, look_texts, places, registry, targets
from egress.model.errors import RequestError
from egress.model.look_images import resolve_images
from egress.model.media import MILLISECOND
from egress.model.order import JobOrder
from egress.model.outputs import FileDoc, HlsDoc
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, refuse
from egress.model.streams import STREAM_DOCS

_TAKE_FILES = {
    "to": ("the output folder", "--to", 0o777),
    "spool": ("the spool", "--spool, EGRESS_SPOOL", 0o700),
}
"""Folders that must take files: what people call each, what names another, its mode when it is made."""


def new_job_id(now: datetime) -> str:
    """A job id that sorts by time and never repeats."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def make_order(
    room: str,
    *,
    pipeline: str,
    renamed: Mapping[str, str] | None = None,
    layout: str | None = None,
    assets: Path | None = None,
    **rest: Unpack[OrderOptions],
) -> JobOrder:
    """A complete, checked order by a pipeline's name or path; raises RequestError with every problem, starts nothing.

    `renamed` gives sinks of a kind another place than the pipeline says; `layout` is another kind of layout than the
    pipeline's; `assets` a folder pictures are taken from beside the pipeline's own; `rest` is as for `order_of`.
    """
    check_room(room)
    document = pipelines.load(pipeline)
    if renamed:
        sinks = tuple(
            sink.model_copy(update={"to": renamed[sink.kind]}) if sink.kind in renamed else sink
            for sink in document.sinks
        )
        document = document.model_copy(update={"sinks": sinks})
    if layout is not None:
        document = checking.with_layout(document, layout)
    return order_of(room, document, pictures=pipelines.picture_folders(pipeline, assets), **rest)


class OrderOptions(TypedDict, total=False):
    """What an order needs beside its room and pipeline.

    `root` is the output folder, `job` the id of the job, one that was never used unless said; `streams` are addresses
    for external streams; `manifest` names the manifest, which else stands beside the first file; `private_avatars`
    allows peers' pictures from private addresses; `storage_options` are what storages are told, by scheme; `ffmpeg` is
    the program some outputs are made with.
    """

    root: Required[Path]
    spool: Required[Path]
    job: str
    seconds: float | None
    streams: Sequence[str]
    whip_token: str | None
    room_options: Mapping[str, str] | None
    reorder: int
    log_level: str
    manifest: str | None
    overwrite: bool
    private_avatars: bool
    storage_options: Mapping[str, Mapping[str, str]] | None
    ffmpeg: str


def order_of(room: str, document: Pipeline, *, pictures: Sequence[Path], **options: Unpack[OrderOptions]) -> JobOrder:
    """A complete, checked order by a pipeline's document; raises RequestError with every problem and starts nothing.

    `pictures` are the folders pictures may be taken from. Storages elsewhere are asked: this takes seconds.
    """
    check_room(room)
    root, spool, seconds = options["root"], options["spool"], options.get("seconds")
    overwrite, storages = options.get("overwrite", False), options.get("storage_options") or {}
    if seconds is not None and not 0 < seconds < math.inf:
        message = f"--seconds must be a number of seconds above 0, not {seconds:g}"
        raise RequestError(message, (("seconds", message),))
    now = datetime.now(UTC)
    job = options.get("job") or new_job_id(now)
    document = targets.with_streams(document, options.get("streams", ()))
    name = places.room_name(room)
    known = places.values(room=name, job=job, pipeline=document.name, started=now)
    resolved, problems = resolve_images(document, "", pictures)
    try:
        resolved = targets.resolve(resolved, known, root)
    except RequestError as error:
        problems = (*problems, *(Problem(*problem) for problem in error.problems))
    if problems:
        raise refuse(f"pipeline {document.name}", problems)
    ffmpeg = programs.check_ffmpeg(resolved, options.get("ffmpeg", programs.FFMPEG))
    resolved = look_texts.filled(resolved, look_texts.values(room=name, job=job, pipeline=document.name, started=now))
    if not overwrite:
        check_free(resolved)
    check_writable("to", root)
    check_writable("spool", spool)
    check_stores(resolved, storages, replacing=overwrite)
    manifest = options.get("manifest")
    return JobOrder(
        id=job,
        room=room,
        title=f"{name} {now:%Y-%m-%d %H:%M} UTC",
        pipeline=resolved,
        folder=str(spool.absolute() / job),
        manifest=str(root.absolute() / manifest) if manifest else manifest_of(resolved, root.absolute(), job),
        seconds=seconds,
        whip_token=options.get("whip_token"),
        room_options=dict(options.get("room_options") or {}),
        reorder=options.get("reorder", 300 * MILLISECOND),
        log_level=options.get("log_level", "WARNING"),
        overwrite=overwrite,
        ffmpeg=ffmpeg,
        private_avatars=options.get("private_avatars", False),
        storage_options={scheme: dict(told) for scheme, told in storages.items()},
        pictures=tuple(str(folder.absolute()) for folder in pictures),
    )


def check_room(room: str) -> None:
    """Refuse an address no connector serves; looks schemes up without loading media modules where it can."""
    scheme, colon, rest = room.partition(":")
    known = registry.names("connectors")
    listing = ", ".join(f"{name}:" for name in known)
    if not colon or not rest.strip("/"):
        raise RequestError(
            f"room {room!r} is not an address; write it like local:standup",
            (("room", "is not an address; write it like local:standup"),),
        )
    if scheme not in known:
        raise RequestError(
            f"room: nothing serves {scheme!r} rooms; an address begins with one of: {listing}",
            (("room", f"unknown scheme {scheme!r}; use one of: {listing}"),),
        )
    if scheme == "local":
        places.local_room_name(room)
    elif scheme in janus_address.SCHEMES:
        janus_address.read(room)


def manifest_of(pipeline: Pipeline, root: Path, job: str) -> str:
    """Beside the first file, inside the first folder, or under the job's own name when only streams are made."""
    for sink in pipeline.sinks:
        if isinstance(sink, STREAM_DOCS):
            continue
        folder, slash, name = sink.to.rstrip("/").rpartition("/")
        if isinstance(sink, HlsDoc):
            return f"{folder}{slash}{name}/manifest.json"
        return f"{folder}{slash}{PurePosixPath(name).stem}.manifest.json"
    return str(root / f"{job}.manifest.json")


_FIRST = {"hls": "index.m3u8", "thumbnails": "thumbnails.json"}
"""The file that tells that a folder is taken, by the kind of its sink."""


_FOLDERS = ("hls", "thumbnails", "tracks")
"""Kinds of sinks that fill a folder; the others write one file."""


def check_free(pipeline: Pipeline) -> None:
    """Refuse outputs that are there already; raises RequestError naming each."""
    taken = []
    for index, sink in enumerate(pipeline.sinks):
        if isinstance(sink, STREAM_DOCS) or targets.scheme_of(sink.to) != "file":
            continue
        place = Path(sink.to) / _FIRST.get(sink.kind, "")
        if place.exists():
            taken.append(
                (f"sinks[{index}].to", f"{place} exists; remove it, use {{started}} in the name, or --overwrite")
            )
    if taken:
        listing = "".join(f"\n  {path}: {message}" for path, message in taken)
        raise RequestError(f"pipeline {pipeline.name}: outputs exist already{listing}", tuple(taken))


def check_stores(pipeline: Pipeline, options: Mapping[str, Mapping[str, str]], *, replacing: bool) -> None:
    """Ask every storage that is not this machine whether it will have its file; raises RequestError naming each."""
    found: list[Problem] = []
    for index, sink in enumerate(pipeline.sinks):
        if isinstance(sink, STREAM_DOCS):
            continue
        backup = sink.backup if isinstance(sink, FileDoc) else None
        for name, to in (("to", sink.to), ("backup", backup)):
            if to is None or (scheme := targets.scheme_of(to)) == "file" or scheme not in registry.names("storages"):
                continue
            try:
                place = to.rstrip("/") + "/" * (sink.kind in _FOLDERS)
                registry.load("storages", scheme)(options.get(scheme, {})).preflight(place, replacing=replacing)
            except RequestError as error:
                fields = ((f"sinks[{index}].{name}" if at == "to" else at, text) for at, text in error.problems)
                found += [Problem(*problem) for problem in fields]
    if found:
        raise refuse(f"pipeline {pipeline.name}", found)


def check_writable(field: str, folder: Path) -> None:
    """Make sure that files can be made in a folder, `to` or the `spool`, by making one.

    Raises RequestError saying which and why not.
    """
    what, mend, mode = _TAKE_FILES[field]
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b".")
    except OSError as error:
        wrong = f"{folder} cannot be used: {_why_not(error)}; name a folder this user may write ({mend})"
        raise RequestError(f"{what} {wrong}", ((field, wrong),)) from None


def _why_not(error: OSError) -> str:
    match error:
        case FileExistsError():
            return "it is a file"
        case NotADirectoryError():
            return "a part of it is a file"
    return error.strerror or str(error)
