"""From what an operator says to a direction that can be shown: held to the rules, pictures found, texts filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from egress.model import look_texts
from egress.model.checking import examine_part
from egress.model.control import Command
from egress.model.direction import Direction
from egress.model.look_images import resolve_images
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, refuse
from egress.model.room import Room

_PARTS = ("layout", "theme", "tiles", "overlays")


def directed(
    command: Command,
    before: Direction,
    room: Room,
    *,
    pipeline: Pipeline,
    folders: Sequence[Path],
    values: Mapping[str, str],
) -> Direction:
    """The direction once a command is obeyed; raises RequestError with every problem, naming fields of the command.

    `folders` are where pictures may lie, `values` what placeholders in texts stand for. Reads the heads of pictures.
    """
    direction = before.after(command, room)
    current = pipeline.model_copy(update={name: getattr(direction, name) for name in _PARTS})
    problems: list[Problem] = []
    for name in ("layout", "theme", "tiles"):
        if getattr(direction, name) != getattr(before, name):
            found = examine_part(name, getattr(direction, name).model_dump(mode="json"), current)[1]
            # A role's accent was chosen for another theme, and no command can change it: it is no fault of this one.
            problems += [problem for problem in found if not problem.path.startswith("roles.")]
    theme, overlays = direction.theme, list(direction.overlays)
    if theme != before.theme:
        theme, found = resolve_images(theme, "theme", folders)
        problems += found
    for number, overlay in enumerate(overlays):
        if overlay in before.overlays:
            # Filled and found already.
            continue
        own = {"overlay": "overlay", "title": ""}.get(command.command, f"overlays[{number}]")
        found = examine_part("overlays", [overlay.model_dump(mode="json")], current)[1]
        problems += [Problem(path.replace("overlays[0]", own, 1).lstrip("."), text) for path, text in found]
        overlay, found = resolve_images(overlay, own, folders)
        problems += found
        overlays[number] = look_texts.filled(overlay, values)
    if problems:
        raise refuse(command.command, tuple(dict.fromkeys(problems)))
    return replace(direction, theme=theme, overlays=tuple(overlays))
