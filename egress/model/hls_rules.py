"""What HLS with captions, or in single files, has to be; and which captions a job takes."""

from __future__ import annotations

from collections.abc import Iterator

from egress.model.control import Caption
from egress.model.errors import RequestError
from egress.model.outputs import HlsDoc
from egress.model.pipeline import Pipeline
from egress.model.problems import Finding, Problem, one_of, shown


def hls_findings(p: Pipeline) -> Iterator[Finding]:
    """Every such rule a pipeline breaks."""
    for index, sink in enumerate(p.sinks):
        if not isinstance(sink, HlsDoc):
            continue
        path = f"sinks[{index}]"
        if sink.single_file and sink.playlist == "sliding":
            message = "a file that holds everything cannot forget its beginning; use playlist: event, or leave it out"
            yield Finding(Problem(f"{path}.single_file", message), (f"{path}.playlist",))
        yield from _captions(f"{path}.captions", sink)


def check_caption(command: Caption, p: Pipeline) -> None:
    """Raise RequestError for a caption that no output of a pipeline would show."""
    tracks = [track.language for sink in p.sinks if isinstance(sink, HlsDoc) for track in sink.captions]
    if not tracks:
        raise _refused("command", "captions go nowhere: give an hls sink `captions: [{language: en}]`")
    if command.language and command.language.lower() not in {language.lower() for language in tracks}:
        known = one_of(sorted(set(tracks)))
        raise _refused("language", f"{shown(command.language)} has no captions in this job; use {known}")


def _captions(path: str, sink: HlsDoc) -> Iterator[Finding]:
    """Languages become names of folders, and players tell tracks apart by their names (RFC 8216, 4.3.4.1)."""
    for field, values in (
        ("language", [track.language.lower() for track in sink.captions]),
        ("name", [(track.name or track.language).lower() for track in sink.captions]),
    ):
        for number, value in enumerate(values):
            if value in values[:number] and (field == "language" or sink.captions[number].name):
                message = f"{shown(value)} is that of captions[{values.index(value)}] too; give each its own"
                yield Finding(Problem(f"{path}[{number}].{field}", message))


def _refused(field: str, message: str) -> RequestError:
    return RequestError(f"{field}: {message}", ((field, message),))
