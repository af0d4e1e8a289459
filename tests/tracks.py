"""What a folder of tracks holds, on the job's time: the flashes and beeps in its files, placed by what aligns them."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from egress.demo.people import people, person
from egress.model import trackfiles
from egress.model.trackfiles import SCHEMA_FILE, TRACKS_FILE, TrackFiles
from tests.listening import beeps, hear
from tests.watching import flashes, watch

FPS = 30
_SCHEMA = Path(trackfiles.__file__).with_name(SCHEMA_FILE)


def document(folder: Path) -> TrackFiles:
    """`tracks.json`, once it is what its schema says."""
    text = (folder / TRACKS_FILE).read_text("utf-8")
    jsonschema.validate(json.loads(text), _schema())
    return TrackFiles.model_validate_json(text)


@cache
def _schema() -> Any:
    return json.loads(_SCHEMA.read_text("utf-8"))


def session(sync: Sequence[tuple[float, float]], at: float) -> float:
    """The session time of a file time: straight between points, at rate 1 outside them."""
    place = bisect_right([file for file, _ in sync], at)
    if place in (0, len(sync)):
        file, time = sync[0] if place == 0 else sync[-1]
        return time + at - file
    (f0, s0), (f1, s1) = sync[place - 1 : place + 1]
    return s0 + (at - f0) * (s1 - s0) / (f1 - f0)


@dataclass
class Events:
    """When each participant's flashes and beeps were, by session time in seconds."""

    flashes: dict[int, list[float]] = field(default_factory=dict)
    beeps: dict[int, list[float]] = field(default_factory=dict)

    def offsets(self, who: int) -> list[float]:
        """How late a participant's picture is, flash by flash."""
        heard = self.beeps.get(who, [])
        return [flash - beep for flash in self.flashes.get(who, ()) for beep in heard if abs(flash - beep) < 0.3]

    def spreads(self) -> Iterator[float]:
        """How far apart events of one instant are between participants."""
        for events in (self.flashes, self.beeps):
            first, *others = events.values()
            for at in first:
                near = [other for times in others for other in times if abs(other - at) < 0.3]
                if near:
                    yield max([*near, at]) - min([*near, at])

    def p95(self) -> float:
        """Of all spreads."""
        return float(np.percentile(list(self.spreads()), 95))


def events(folder: Path, *, refined: bool = True, skip: float = 0.0) -> Events:
    """Decode every file of a folder; without `refined` by file times alone. `skip` leaves out the first seconds."""
    known = {one.name: one.index for one in people(16)}
    found = Events()
    for row in document(folder).files:
        who = known[row.peer.name]
        for stream in row.streams:
            sync = stream.sync if refined else ((0.0, row.start),)
            path = folder / row.name
            if stream.kind == "audio":
                sound = hear(path)
                assert sound is not None
                times = [beep.at for beep in beeps(sound.mono(), sound.rate, person(who).tone, sound.start)]
                kept = found.beeps.setdefault(who, [])
            else:
                watched = watch(path, participants=1)
                assert watched is not None
                times = [flash.at for flash in flashes(watched, who, FPS)]
                kept = found.flashes.setdefault(who, [])
            kept += [session(sync, at) for at in times if at >= skip]
    return found
