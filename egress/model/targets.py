"""What a sink may write to, and what that becomes in one job: an absolute path, or an address."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from egress.model import registry
from egress.model.audio_files import ENDINGS
from egress.model.azure_address import azure_problems
from egress.model.errors import RequestError
from egress.model.outputs import FileDoc, HlsDoc, RtmpDoc, SinkDoc, SrtDoc
from egress.model.pipeline import Pipeline
from egress.model.places import PLACEHOLDERS, expand, path_problems, template_problems, under
from egress.model.problems import Problem, one_of, path_text, refuse, shown
from egress.model.s3_address import s3_problems
from egress.model.srt_address import SrtAddress
from egress.model.streams import check_stream, is_srt, stream_doc

STREAMS = "{rtmp}"
"""The whole `to` of an rtmp sink that stands for the addresses given when the job starts."""

_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "mp4": (".mp4", ".m4a", ".m4v"),
    "audio": ENDINGS,
    "webm": (".webm",),
    "waveform": (".json", ".png"),
}
"""How the names of single files may end, by the kind of their sink; the other kinds make folders."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_EXAMPLE = "rtmp://server/app/key"


def scheme_of(to: str) -> str:
    """The scheme of an address in lower case; 'file' for a plain path."""
    match = _SCHEME.match(to)
    return match[1].lower() if match else "file"


def file_part(to: str) -> str:
    """The path of a `file:` address or of a plain path."""
    return to[5:] if to[:5].lower() == "file:" else to


def target_problems(sink: SinkDoc, path: str) -> tuple[Problem, ...]:
    """What is wrong with where a sink writes; `path` names the field in the document."""
    to = sink.to.strip()
    if isinstance(sink, RtmpDoc):
        return _stream_problems(to, path)
    if isinstance(sink, SrtDoc):
        return _srt_problems(to, path)
    if isinstance(sink, FileDoc):
        return _storage_problems(to, path) or _name_problems(sink, to, path)
    found = template_problems(to, path)
    return found if scheme_of(to) != "file" else found + path_problems(file_part(to), path)


def _storage_problems(to: str, path: str) -> tuple[Problem, ...]:
    scheme, storages = scheme_of(to), registry.names("storages")
    if scheme in registry.names("connectors"):
        return (Problem(path, "is the address of a room; say where the output goes, like recordings/{room}.mp4"),)
    if scheme not in storages:
        return (
            Problem(path, f"nothing stores to {scheme[:20]}: addresses; known: {one_of(storages)} (or a plain path)"),
        )
    found = template_problems(to, path)
    if scheme in ("s3", "gs"):
        return found + s3_problems(to, path)
    if scheme == "azure":
        return found + azure_problems(to, path)
    return found if scheme != "file" else found + path_problems(file_part(to), path)


def _name_problems(sink: FileDoc, to: str, path: str) -> tuple[Problem, ...]:
    suffix = PurePosixPath(to).suffix.lower()
    if endings := _ENDINGS.get(sink.kind):
        if suffix in endings and not to.endswith("/"):
            return ()
        wanted = ", ".join(endings)
        return (
            Problem(path, f"{shown(to)} must name one file ending in {wanted}, like recordings/{{room}}{endings[0]}"),
        )
    if isinstance(sink, HlsDoc) and sink.single_file and scheme_of(to) != "file":
        return (Problem(path, "is a store, where no file grows; leave single_file out, or write to a folder"),)
    if isinstance(sink, HlsDoc) and suffix == ".m3u8":
        what = "must name a folder, like live/{room}/; the playlist in it is called index.m3u8"
        return (Problem(path, f"{shown(to)} {what}"),)
    return ()


def backup_problems(sink: SinkDoc, path: str) -> tuple[Problem, ...]:
    """What is wrong with a sink's backup, if it names one; `path` names that field in the document."""
    if not isinstance(sink, FileDoc) or sink.backup is None:
        return ()
    return target_problems(sink.model_copy(update={"to": sink.backup}), path)


def _stream_problems(to: str, path: str) -> tuple[Problem, ...]:
    """Messages never repeat the address: it holds the stream key."""

    def wrong(message: str) -> tuple[Problem, ...]:
        return (Problem(path, message),)

    if to == STREAMS:
        return ()
    if braces := template_problems(to, path, (*PLACEHOLDERS, "rtmp")):
        return braces
    if STREAMS in to:
        return wrong("{rtmp} stands for whole addresses; write it alone")
    if is_srt(to):
        return wrong("is an SRT address; write kind: srt")
    try:
        check_stream(to)
    except RequestError as error:
        return wrong("; ".join(message for _, message in error.problems))
    return ()


def _srt_problems(to: str, path: str) -> tuple[Problem, ...]:
    if braces := template_problems(to, path):
        return braces
    try:
        SrtAddress.parse(to)
    except RequestError as error:
        return tuple(Problem(path, message) for _, message in error.problems)
    return ()


def clashes(sinks: Sequence[SinkDoc]) -> tuple[Problem, ...]:
    """Sinks that write to one place, or inside another's file."""
    places: dict[str, int] = {}
    found: list[Problem] = []
    for index, sink in enumerate(sinks):
        for name, written in _written(sink):
            to = written.strip()
            if to == STREAMS and isinstance(sink, RtmpDoc) and STREAMS not in places:
                places[STREAMS] = index
                continue
            place = _normal(to) if scheme_of(to) == "file" else to.rstrip("/")
            path = path_text(("sinks", index, name))
            for other, first in places.items():
                if place == other:
                    found.append(Problem(path, f"writes the same place as sinks[{first}]; give each sink its own"))
                elif _inside(place, other, sinks[first]) or _inside(other, place, sink):
                    found.append(Problem(path, f"lies inside the file of sinks[{first}], or the other way round"))
            places.setdefault(place, index)
    return tuple(found)


def _written(sink: SinkDoc) -> tuple[tuple[str, str], ...]:
    """The fields of a sink that say where it writes."""
    backup = sink.backup if isinstance(sink, FileDoc) else None
    return (("to", sink.to),) if backup is None else (("to", sink.to), ("backup", backup))


def _normal(to: str) -> str:
    """A path without empty and `.` names."""
    path = file_part(to)
    return ("/" if path.startswith("/") else "") + "/".join(n for n in path.split("/") if n not in ("", "."))


def _inside(place: str, file: str, sink: SinkDoc) -> bool:
    return sink.kind in _ENDINGS and place.startswith(file + "/")


def with_streams(pipeline: Pipeline, addresses: Sequence[str]) -> Pipeline:
    """The pipeline streaming to these addresses: they take the place of `{rtmp}`, or are added as sinks of their own.

    Raises RequestError when the pipeline wants addresses and none is given.
    """
    wanting = [index for index, sink in enumerate(pipeline.sinks) if sink.to.strip() == STREAMS]
    if wanting and not addresses:
        message = f"streams to an address given when the job starts; give it: --rtmp {_EXAMPLE}"
        raise refuse(f"pipeline {pipeline.name}", tuple(Problem(f"sinks[{i}].to", message) for i in wanting))
    sinks: list[SinkDoc] = []
    for index, sink in enumerate(pipeline.sinks):
        if index in wanting:
            sinks.extend(stream_doc(address, required=sink.required) for address in addresses)
        else:
            sinks.append(sink)
    if not wanting:
        sinks.extend(stream_doc(address) for address in addresses)
    return pipeline.model_copy(update={"sinks": tuple(sinks)})


def resolve(pipeline: Pipeline, known: Mapping[str, str], root: Path) -> Pipeline:
    """The pipeline with every `to` and `backup` final: an absolute path under `root`, links followed, or an address.

    `known` comes from places.values. Raises RequestError with all problems: unknown placeholders, places outside
    `root`, two sinks writing one place.
    """
    found: list[Problem] = []
    sinks: list[SinkDoc] = []
    for index, sink in enumerate(pipeline.sinks):
        final: dict[str, str] = {}
        for name, written in _written(sink):
            try:
                final[name] = _final(sink, written.strip(), path_text(("sinks", index, name)), known, root)
            except RequestError as error:
                found.extend(Problem(*problem) for problem in error.problems)
        if len(final) == len(_written(sink)):
            sinks.append(sink.model_copy(update=final))
    found.extend(clashes(sinks))
    if found:
        raise refuse(f"pipeline {pipeline.name}", found)
    return pipeline.model_copy(update={"sinks": tuple(sinks)})


def _final(sink: SinkDoc, written: str, path: str, known: Mapping[str, str], root: Path) -> str:
    """One target, final; raises RequestError whose problems name `path`."""

    def check(to: str) -> None:
        if problems := target_problems(sink.model_copy(update={"to": to}), path):
            raise refuse(path, problems)

    check(written)
    if written == STREAMS:
        return written
    target = expand(written, known)
    if scheme_of(target) != "file":
        if isinstance(sink, FileDoc):
            # Filled in, a key may have become too long.
            check(target)
        return target
    try:
        return str(under(root, file_part(target)))
    except RequestError as error:
        raise refuse(path, [Problem(path, message) for _, message in error.problems]) from None
