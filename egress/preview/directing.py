"""What operators say in a script, checked and completed as a pipeline is: pictures found, placeholders filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from egress.model import checking, look_texts
from egress.model.control import Command
from egress.model.direction import Direction
from egress.model.look_images import resolve_images
from egress.model.pipeline import Pipeline
from egress.model.problems import refuse
from egress.model.room import Room

_PARTS = ("layout", "theme", "tiles", "overlays")


@dataclass(frozen=True, slots=True)
class Director:
    """Obeys commands: `folders` are where pictures are taken from, `texts` what placeholders stand for."""

    pipeline: Pipeline
    folders: Sequence[Path]
    texts: Mapping[str, str]

    def obeyed(self, command: Command, direction: Direction, room: Room) -> Direction:
        """The direction once a command is obeyed; raises RequestError naming the field and the fix."""
        after = direction.after(command, room)
        changed: dict[str, Any] = {}
        for name in _PARTS:
            value = getattr(after, name)
            if value != getattr(direction, name):
                changed[name] = self._complete(name, value)
        return replace(after, **changed)

    def _complete(self, name: str, value: Any) -> Any:
        part, problems = checking.examine_part(name, _plain(value), self.pipeline)
        if not problems:
            part, problems = resolve_images(part, name, self.folders)
        if problems:
            raise refuse(name, problems)
        return look_texts.filled(part, self.texts)


def _plain(value: BaseModel | Sequence[BaseModel]) -> Any:
    """A part as a document says it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    return [item.model_dump(mode="json", exclude_unset=True) for item in value]
