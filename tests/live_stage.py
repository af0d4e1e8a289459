"""Live sinks as the worker runs them, fed at the pace of a programme that plays to all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egress.model.streams import stream_doc
from egress.sinks.base import SinkContext, SinkThread
from egress.sinks.destination import Patience
from egress.sinks.rtmp import RtmpSink
from egress.sinks.sender_feed import Limits
from egress.sinks.srt import SrtSink
from tests.rtmp_programme import Programme, programme

KEY = "canary-7f3e9a-4471"
LIMITS, PATIENCE = Limits(), Patience()
SHOW = programme(120, keyframe=30)
"""Two minutes: tests stop it where they have seen enough."""

_DEEP = 600
"""Items that may wait in a sink's queue: some 8 s, and less than any trouble of these tests lasts."""


class Finder:
    """Finds units of a programme again by their bytes; those that repeat, by what came before."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[int]] = {}
        self._last = -1

    def add(self, data: bytes, number: int) -> None:
        """A unit and its number."""
        self._known.setdefault(data, []).append(number)

    def find(self, data: bytes) -> int:
        """The number of the next unit like this; KeyError where none is."""
        numbers = self._known[data]
        self._last = next((number for number in numbers if number > self._last), numbers[0])
        return self._last


class Live:
    """A sink on its thread as the worker runs it, fed at the pace of the programme."""

    def __init__(self, folder: Path, url: str, show: Programme, limits: Limits, patience: Patience) -> None:
        self.events: list[dict[str, Any]] = []
        context = SinkContext("job", "room", "title", datetime.now(UTC), folder, url, self.events.append)
        doc = stream_doc(url)
        self.sink = (
            SrtSink(doc, context, patience=patience)
            if doc.kind == "srt"
            else RtmpSink(doc, context, limits=limits, patience=patience)
        )
        self.thread = SinkThread(doc.kind, self.sink, show.streams)
        self.deepest = 0

    @property
    def state(self) -> str:
        return str(self.sink.status()["state"])

    def end(self) -> None:
        """Close as the worker does; the queue never came near to being full."""
        self.thread.finish()
        assert self.thread.join(60)
        assert self.thread.refused == 0
        assert self.deepest < _DEEP, "writing to a sink in trouble must not take longer than the programme"
        assert KEY not in repr((self.events, self.sink.status(), self.thread.error, self.thread.artifacts))


class Playing:
    """Plays one programme to all its destinations, until told that enough was seen."""

    def __init__(self, folder: Path, show: Programme = SHOW) -> None:
        self.show = show
        self.lives: list[Live] = []
        self._folder = folder
        self._packets = iter(show.packets)
        self._began = time.monotonic()

    def add(self, url: str, *, limits: Limits = LIMITS, patience: Patience = PATIENCE) -> Live:
        folder = self._folder / f"sink-{len(self.lives)}"
        folder.mkdir()
        live = Live(folder, url, self.show, limits, patience)
        self.lives.append(live)
        return live

    def play(self, *, until: Any = None, seconds: float = 60) -> None:
        """Play on at live pace until a condition holds, or for so many seconds without one."""
        end = time.monotonic() + seconds
        while not (until is not None and until()):
            if time.monotonic() >= end:
                assert until is None, [(live.sink.status(), live.events[-3:]) for live in self.lives]
                return
            packet = next(self._packets)
            wait = self._began + float(self.show.at(packet)) - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            for live in self.lives:
                assert live.thread.offer(packet), live.thread.error
                if wait > 0:
                    # Who was held up gives more at once.
                    live.deepest = max(live.deepest, live.thread.depth)


@contextmanager
def playing(folder: Path) -> Iterator[Playing]:
    stage = Playing(folder)
    try:
        yield stage
    finally:
        for live in stage.lives:
            live.thread.give_up("the test is over")
            live.thread.join(60)
