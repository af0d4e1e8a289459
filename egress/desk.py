"""The control desk of a job: takes what operators say, a line each, obeys or refuses, and answers every line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from egress.model import control, look_texts, places
from egress.model.control import (
    AddDestination,
    Caption,
    Command,
    MarkNow,
    Pause,
    RemoveDestination,
    Resume,
    Stop,
    TimedMetadata,
)
from egress.model.directing import directed
from egress.model.errors import RequestError
from egress.model.hls_rules import check_caption
from egress.model.order import JobOrder
from egress.stage import Stage

MOST_PAUSES = 1000
"""Pauses one job may have: each is kept in several documents."""


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
        on_mark: Callable[[MarkNow | TimedMetadata | Caption], None],
        on_destination: Callable[[AddDestination | RemoveDestination], str],
    ) -> None:
        """`values` are what placeholders in texts stand for (`placeholders` of an order); `on_destination` says what
        it does, or raises RequestError."""
        self._pipeline = order.pipeline
        self._folders = tuple(Path(folder) for folder in order.pictures)
        self._values = values
        self._stage = stage
        self._announce = announce
        self._on_stop = on_stop
        self._on_mark = on_mark
        self._on_destination = on_destination
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
        direction = directed(
            command,
            before,
            self._stage.room,
            pipeline=self._pipeline,
            folders=self._folders,
            values=self._values,
        )
        match command:
            case Stop(reason=reason):
                self._on_stop(reason)
                return "stopping"
            case MarkNow() | TimedMetadata() | Caption():
                if isinstance(command, Caption):
                    check_caption(command, self._pipeline)
                self._on_mark(command)
                return "marked" if isinstance(command, MarkNow) else "sent"
            case AddDestination() | RemoveDestination():
                return self._on_destination(command)
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
        self._stage.direct(direction)
        return {"pause": "paused", "resume": "resumed"}.get(command.command, "done")


def placeholders(order: JobOrder, started: datetime) -> Mapping[str, str]:
    """What placeholders stand for in texts of a job."""
    room = places.room_name(order.room)
    return look_texts.values(room=room, job=order.id, pipeline=order.pipeline.name, started=started)
