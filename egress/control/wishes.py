"""What operators wanted of a running job, to be asked again of the worker that follows one which died."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

MOST = 500
"""Commands that are kept."""

_REPLACES = {
    "layout": ("layout",),
    "theme": ("theme",),
    "tiles": ("tiles",),
    "overlays": ("overlays", "overlay", "remove-overlay", "title"),
    "title": ("title",),
    "pin": ("pin", "unpin"),
    "unpin": ("pin", "unpin"),
    "pause": ("pause", "resume"),
    "resume": ("pause", "resume"),
}
"""Commands that leave nothing of earlier ones; all others add to them."""

_KEPT = {*_REPLACES, "overlay", "remove-overlay", "hide", "show", "add-destination", "remove-destination"}
_OF_PEERS = ("pin", "hide", "show")
"""Commands that are refused until their peers have come back."""

_AGAIN = "egress-again-"

Event = dict[str, Any]


def layout_in(lines: Sequence[str]) -> str | None:
    """The kind of layout that was wished for last; None when none was."""
    for command in map(json.loads, reversed(lines)):
        if command["command"] == "layout":
            layout = command["layout"]
            return str(layout["kind"] if isinstance(layout, dict) else layout)
    return None


class Wishes:
    """Commands that were obeyed and still hold. They are kept once the worker has said that it obeys.

    A worker that follows is told all of them when it is in the room, and of peers again whenever somebody joins. The
    answers to those are ours: they go no further.
    """

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self._held: list[Event] = [json.loads(line) for line in lines]
        self._asked: list[Event] = []
        self._due: list[Event] = []
        self._waiting: list[Event] = []

    @property
    def lines(self) -> tuple[str, ...]:
        """What holds, oldest first."""
        return tuple(json.dumps(command) for command in self._held)

    def hear(self, line: str | bytes) -> None:
        """An operator says something; whether it holds, the worker's answer tells."""
        try:
            command = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(command, dict) and command.get("command") in _KEPT and len(self._asked) < MOST:
            self._asked.append(command)

    def again(self) -> None:
        """Another worker has come: it is to be told everything."""
        self._asked.clear()
        self._waiting.clear()
        self._due = list(self._held)

    def take(self, event: Event) -> tuple[list[str], bool]:
        """An event of the worker: the lines to tell it now, and whether the event is an answer to one of ours."""
        if event.get("type") == "room" and event.get("event") == "joined":
            self._due, self._waiting = [*self._due, *self._waiting], []
        mine = event.get("type") == "control" and str(event.get("id")).startswith(_AGAIN)
        if event.get("type") == "control":
            self._answered(event, mine=mine)
        told, self._due = self._due, []
        return [json.dumps({**command, "id": f"{_AGAIN}{self._number(command)}"}) for command in told], mine

    def _answered(self, event: Event, *, mine: bool) -> None:
        if mine:
            number = int(str(event["id"]).removeprefix(_AGAIN))
            if not event.get("ok") and number < len(self._held) and self._held[number]["command"] in _OF_PEERS:
                self._waiting.append(self._held[number])
            return
        for command in self._asked:
            # Workers answer in order.
            if (command.get("id"), command["command"]) == (event.get("id"), event.get("command")):
                self._asked.remove(command)
                if event.get("ok"):
                    self._hold(command)
                return

    def _hold(self, command: Event) -> None:
        if command["command"] == "remove-destination":
            told = command.get("destination")
            added = [held for held in self._held if held["command"] == "add-destination"]
            if undone := [held for held in added if told in (held.get("name"), held.get("to"))]:
                self._held = [held for held in self._held if held not in undone]
                return
        gone = _REPLACES.get(command["command"], ())
        self._held = [held for held in self._held if held["command"] not in gone]
        self._held = [*self._held, command][-MOST:]

    def _number(self, command: Event) -> int:
        return next((number for number, held in enumerate(self._held) if held is command), len(self._held))
