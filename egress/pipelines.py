"""Finds pipelines: by the name of a shipped one, or the path of a file."""

from __future__ import annotations

from pathlib import Path

from egress.model import checking
from egress.model.document import MAX_BYTES
from egress.model.errors import RequestError
from egress.model.look_images import resolve_images
from egress.model.pipeline import Pipeline
from egress.model.problems import did_you_mean, one_of, refuse, shown
from egress.model.secrets import redact_url
from egress.model.units import bitrate_text, duration_text

_SUFFIXES = (".yaml", ".yml", ".json")
_PACKAGE = Path(__file__).resolve().parent


def folder() -> Path:
    """Where the shipped pipelines lie: in the installed package, or beside the checkout (editable installs)."""
    installed = _PACKAGE / "_pipelines"
    return installed if installed.is_dir() else _PACKAGE.parent / "pipelines"


def names() -> tuple[str, ...]:
    """The shipped pipelines, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


def find(name_or_path: str | Path) -> Path:
    """The file of a pipeline; raises RequestError naming what there is.

    Whatever is a file, has a slash or ends like a YAML file is a path; anything else names a shipped pipeline.
    """
    text = str(name_or_path)
    if "/" in text or text.endswith(_SUFFIXES) or _is_file(text):
        return Path(text)
    known = names()
    if text in known:
        return folder() / f"{text}.yaml"
    message = f"unknown pipeline {shown(text)}{did_you_mean(text, known)}; known: {one_of(known)}"
    raise RequestError(f"{message} (or the path of a .yaml file)", (("pipeline", message),))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:
        return False


def load(name_or_path: str | Path) -> Pipeline:
    """The pipeline of that name or in that file, checked; raises RequestError with all its problems."""
    path = find(name_or_path)
    try:
        # One byte more than allowed tells a document that is too long without reading a huge file.
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        message = f"cannot read pipeline {shown(str(path))}: {getattr(error, 'strerror', None) or error}"
        raise RequestError(message, (("pipeline", message),)) from None
    return checking.read(text, str(path))


def check(name_or_path: str | Path, assets: Path | None = None) -> Pipeline:
    """As `load`, and the pictures it names are there: beside it, or in the folder `assets`."""
    pipeline = load(name_or_path)
    _, problems = resolve_images(pipeline, "", picture_folders(name_or_path, assets))
    if problems:
        raise refuse(str(name_or_path), problems)
    return pipeline


def picture_folders(name_or_path: str | Path, assets: Path | None = None) -> tuple[Path, ...]:
    """Where the pictures named in a pipeline may lie: in its own folder, and in the assets if there are any."""
    return (find(name_or_path).parent, *([assets] if assets else ()))


def describe(pipeline: Pipeline) -> str:
    """What a pipeline will make, in a few lines for people."""
    video, audio = pipeline.video, pipeline.audio
    lines = [f"{pipeline.name}: {pipeline.about}".rstrip(": ")]
    if not pipeline.composed:
        lines.append("  media     as it was sent: nothing is decoded, no picture and no sound is made")
    elif video is None:
        lines.append("  picture   none")
    else:
        lines.append(
            f"  picture   {video.size} at {video.fps} per second, {bitrate_text(video.bitrate)} bit/s {video.codec} "
            f"({video.preset}), a keyframe every {duration_text(video.keyframe)}, layout {pipeline.layout.kind}"
        )
        rungs = ", ".join(f"{rung.size} {bitrate_text(rung.bitrate)} bit/s" for rung in video.ladder)
        lines += [f"  besides   {rungs}, in HLS"] if rungs else []
    channels = "stereo" if audio.channels == 2 else "mono"
    if pipeline.composed:
        lines.append(f"  sound     {audio.codec} {channels}, {audio.rate} Hz, {bitrate_text(audio.bitrate)} bit/s")
    for what, words in (("roles", pipeline.select.roles), ("names", pipeline.select.names)):
        if words is not None:
            lines.append(f"  who       only the {what} {', '.join(words)}")
    if pipeline.overlays:
        lines.append(f"  above     {', '.join(overlay.kind for overlay in pipeline.overlays)}")
    for sink in pipeline.sinks:
        target = redact_url(sink.to) if "://" in sink.to else sink.to
        lines.append(f"  {sink.kind:<9} {target}{'' if sink.required else '  (the job goes on without it)'}")
    empty = duration_text(pipeline.stop.empty_for)
    lines.append(
        f"  ends      {f'after {empty} without anybody, ' if pipeline.stop.empty_for else ''}"
        f"at the latest after {duration_text(pipeline.stop.max)}"
    )
    return "\n".join(lines)
