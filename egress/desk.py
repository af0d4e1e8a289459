"""The control desk of a job: takes what operators say, a line each, obeys or refuses, and answers every line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from egress.model import control, look_texts, places
from egress.model.checking import examine_part
from egress.model.control import Command, MarkNow, Pause, Resume, Stop
from egress.model.direction import Direction
from egress.model.errors import RequestError
from egress.model.look_images import resolve_images
from egress.model.order import JobOrder
from egress.model.problems import Problem, refuse
from egress.stage import Stage

MOST_PAUSES = 1000
"""Pauses one job may have: each is kept in several documents."""

_PARTS = ("layout", "theme", "tiles", "overlays")


class Desk:
    """Judges commands by the pipeline and the room; all methods are called on the loop, none raises."""

    def __init__(
        self,
        order: JobOrder,
        values: Mapping[str, str],
        stage: Stage,
        announce: Callable[[dict[str, Any]], None],
        *,
        on_stop: Callable[[str], None],
        on_mark: Callable[[str], None],
    ) -> None:
        """`values` are what placeholders in texts stand for (`placeholders` of an order)."""
        self._pipeline = order.pipeline
        self._folders = tuple(Path(folder) for folder in order.pictures)
        self._values = values
        self._stage = stage
        self._announce = announce
        self._on_stop = on_stop
        self._on_mark = on_mark
        self._pauses = 0

    def hear(self, line: bytes) -> None:
        """Obey one line of JSON, whole or not at all, and answer it with a `control` event."""
        try:
            command = control.parse(line)
        except RequestError as error:
            self._announce(control.answer(control.echo(line), error=error))
            return
        try:
            message = self._obey(command)
        except RequestError as error:
            self._announce(control.answer(command, error=error))
            return
        self._announce(control.answer(command, message=message))

    def _obey(self, command: Command) -> str:
        before = self._stage.direction
        direction = before.after(command, self._stage.room)
        match command:
            case Stop(reason=reason):
                self._on_stop(reason)
                return "stopping"
            case MarkNow(text=text):
                self._on_mark(text)
                return "marked"
            case Pause() if before.paused:
                return "paused already"
            case Resume() if not before.paused:
                return "nothing is paused"
            case Pause():
                if self._pauses >= MOST_PAUSES:
                    why = f"this job was paused {MOST_PAUSES} times already; start another one"
                    raise RequestError(why, (("command", why),))
                self._pauses += 1
        if direction == before:
            return "nothing changes"
        self._stage.direct(self._checked(command, before, direction))
        return {"pause": "paused", "resume": "resumed"}.get(command.command, "done")

    def _checked(self, command: Command, before: Direction, direction: Direction) -> Direction:
        """The direction with what is new in it held to the rules of pipelines, pictures found; raises RequestError."""
        current = self._pipeline.model_copy(update={name: getattr(direction, name) for name in _PARTS})
        problems: list[Problem] = []
        for name in ("layout", "theme", "tiles"):
            if getattr(direction, name) != getattr(before, name):
                problems += examine_part(name, getattr(direction, name).model_dump(mode="json"), current)[1]
        theme, overlays = direction.theme, list(direction.overlays)
        if theme != before.theme:
            theme, found = resolve_images(theme, "theme", self._folders)
            problems += found
        for number, overlay in enumerate(overlays):
            if overlay in before.overlays:
                # Filled and found already.
                continue
            problems += examine_part("overlays", [overlay.model_dump(mode="json")], current)[1]
            overlay, found = resolve_images(overlay, "overlays[0]", self._folders)
            problems += found
            overlays[number] = look_texts.filled(overlay, self._values)
        if problems:
            own = {"overlay": "overlay", "title": ""}.get(command.command, "overlays[0]")
            told = [Problem(path.replace("overlays[0]", own).lstrip("."), text) for path, text in problems]
            raise refuse(command.command, tuple(dict.fromkeys(told)))
        return replace(direction, theme=theme, overlays=tuple(overlays))


def placeholders(order: JobOrder, started: datetime) -> Mapping[str, str]:
    """What placeholders stand for in texts of a job."""
    room = places.room_name(order.room)
    return look_texts.values(room=room, job=order.id, pipeline=order.pipeline.name, started=started)
