"""A pipeline with what one job, or one look at it, wants otherwise, held to the rules of pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from egress.model.checking import examine, examine_part, with_layout
from egress.model.look import TitleOverlay
from egress.model.media import Size
from egress.model.outputs import SinkDoc
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, one_of, refuse
from egress.model.request import Overrides

_PARTS = ("layout", "theme", "tiles", "overlays", "stop")
_FIELD = "overrides"


def restyled(pipeline: Pipeline, *, layout: str | None, theme: str | None, size: Size | None) -> Pipeline:
    """The pipeline with a layout, theme and size said on a command line; None leaves its own.

    Raises RequestError; whether another size goes with the outputs is for `rules` to judge.
    """
    if layout is not None:
        pipeline = with_layout(pipeline, layout)
    if theme is not None:
        document, problems = examine_part("theme", theme, pipeline)
        if problems:
            raise refuse(f"--theme {theme}", problems)
        pipeline = pipeline.model_copy(update={"theme": document})
    if size is not None and pipeline.video is not None:
        # Smaller renditions are those of the pipeline's own size.
        video = pipeline.video.model_copy(update={"size": size, "ladder": ()})
        pipeline = pipeline.model_copy(update={"video": video})
    return pipeline


def overridden(pipeline: Pipeline, overrides: Overrides, *, roles: Sequence[str] | None = None) -> Pipeline:
    """The pipeline as one job has it; raises RequestError with every problem, naming the fields of the overrides.

    A part replaces the pipeline's; `stop` changes only the rules it names; `roles` are who alone is shown and heard.
    """
    changes: dict[str, Any] = {}
    for name in _PARTS:
        said = getattr(overrides, name)
        if said is not None:
            changes[name] = {"kind": said} if name == "layout" and isinstance(said, str) else said
    if isinstance(changes.get("stop"), Mapping):
        changes["stop"] = {**pipeline.stop.model_dump(mode="json"), **changes["stop"]}
    if roles is not None:
        changes["select"] = {**pipeline.select.model_dump(mode="json"), "roles": list(roles)}
    if changes:
        document, problems = examine({**pipeline.model_dump(mode="json"), **changes})
        if problems or document is None:
            raise refuse(f"the pipeline {pipeline.name} with these overrides", [_placed(p) for p in problems])
        pipeline = document
    if overrides.title is not None:
        pipeline = pipeline.model_copy(update={"overlays": _titled(pipeline, overrides.title)})
    if overrides.to:
        pipeline = pipeline.model_copy(update={"sinks": _moved(pipeline.sinks, overrides.to)})
    return pipeline


def _placed(problem: Problem) -> Problem:
    """A problem of the whole as one of the overrides, where it is about a part of them."""
    first = problem.path.partition(".")[0].partition("[")[0]
    return Problem(f"{_FIELD}.{problem.path}", problem.message) if first in _PARTS else problem


def _titled(pipeline: Pipeline, text: str) -> tuple[Any, ...]:
    title = next((overlay for overlay in pipeline.overlays if isinstance(overlay, TitleOverlay)), None)
    others = tuple(overlay for overlay in pipeline.overlays if overlay is not title)
    if not text:
        return others
    if title is None:
        taken = any(overlay.id == "title" for overlay in others)
        return (*others, TitleOverlay(kind="title", id=None if taken else "title", text=text))
    changed = title.model_copy(update={"text": text})
    return tuple(changed if overlay is title else overlay for overlay in pipeline.overlays)


def _moved(sinks: Sequence[SinkDoc], to: Mapping[str, str]) -> tuple[SinkDoc, ...]:
    """The sinks with the targets that are given by number or kind."""
    moved, problems = list(sinks), []
    for name, target in to.items():
        if name.isdecimal():
            found = [int(name)] if int(name) < len(sinks) else []
        else:
            found = [index for index, sink in enumerate(sinks) if sink.kind == name]
        if len(found) != 1:
            what = "several sinks are of this kind; give their numbers" if found else "no sink has this number or kind"
            known = one_of([*(str(index) for index in range(len(sinks))), *(sink.kind for sink in sinks)])
            problems.append(Problem(f"{_FIELD}.to.{name}", f"{what}: {known}"))
            continue
        moved[found[0]] = moved[found[0]].model_copy(update={"to": target})
    if problems:
        raise refuse("the job", problems)
    return tuple(moved)
