"""A plan: who publishes what and when; seconds count from the plan's zero, a whole second of the shared clock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from egress.demo.people import MOST, Person, person
from egress.model.errors import RequestError
from egress.model.media import Codec, Size
from egress.model.units import size as parse_size

Action = Literal["publish", "unpublish", "drop", "mute", "unmute", "resize"]
Kind = Literal["audio", "video"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Step:
    """At second `at`: what happens; `kind` says which track a mute or unmute is about, `size` is for resize."""

    at: float
    do: Action
    kind: Kind | None = None
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What one participant does; `kinds` is what it publishes, `lag` (ms) delays sending behind capture.

    `screen_of` is the number of the person whose shared screen this is, instead of somebody's camera.
    """

    person: Person
    size: Size
    fps: int
    codec: Codec
    kinds: tuple[Kind, ...] = KINDS
    lag: tuple[int, int] = (0, 0)
    steps: tuple[Step, ...] = (Step(0.0, "publish"),)
    screen_of: int | None = None

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Every size the video takes."""
        return tuple(dict.fromkeys((self.size, *(step.size for step in self.steps if step.size is not None))))


@dataclass(frozen=True, slots=True)
class Plan:
    """Everyone's parts, and how long the whole takes."""

    parts: tuple[Part, ...]
    seconds: float

    def dumps(self) -> str:
        """The plan as JSON; `loads` reads it back."""
        return json.dumps(
            {
                "seconds": self.seconds,
                "parts": [
                    {
                        "person": part.person.index,
                        "size": str(part.size),
                        "fps": part.fps,
                        "codec": part.codec.value,
                        "kinds": part.kinds,
                        "lag": part.lag,
                        "screen_of": part.screen_of,
                        "steps": [
                            {"at": s.at, "do": s.do}
                            | ({"kind": s.kind} if s.kind else {})
                            | ({"size": str(s.size)} if s.size else {})
                            for s in part.steps
                        ],
                    }
                    for part in self.parts
                ],
            },
            indent=1,
        )

    @classmethod
    def loads(cls, text: str) -> Plan:
        """Read a plan; raises RequestError naming what is wrong."""
        try:
            document = json.loads(text)
            parts = tuple(_part(part) for part in document["parts"])
            return cls(parts, float(document["seconds"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RequestError(f"the plan cannot be used: {type(error).__name__}: {error}") from error


def _part(document: Any) -> Part:
    steps = []
    for step in document["steps"]:
        if step["do"] not in get_args(Action):
            raise ValueError(f"step {step['do']!r} is none of {', '.join(get_args(Action))}")
        if step.get("kind") not in (None, *KINDS):
            raise ValueError(f"kind {step['kind']!r} is neither audio nor video")
        if step["do"] in ("mute", "unmute") and step.get("kind") is None:
            raise ValueError(f"step {step['do']!r} at {step['at']} does not say whether audio or video")
        if step["do"] == "resize" and not step.get("size"):
            raise ValueError(f"the resize at {step['at']} has no size")
        size = parse_size(step["size"]) if step.get("size") else None
        steps.append(Step(float(step["at"]), step["do"], step.get("kind"), size))
    audio_lag, video_lag = document.get("lag", (0, 0))
    return Part(
        person(int(document["person"])),
        parse_size(document["size"]),
        int(document["fps"]),
        Codec(document["codec"]),
        tuple(kind for kind in KINDS if kind in document["kinds"]),
        (int(audio_lag), int(video_lag)),
        tuple(sorted(steps, key=lambda step: step.at)),
        None if document.get("screen_of") is None else person(int(document["screen_of"])).index,
    )


def simple(participants: int, seconds: float, *, size: Size, fps: int, codecs: tuple[Codec, ...]) -> Plan:
    """Everyone publishes from the beginning to the end; codecs go round. Raises RequestError for too many."""
    if not 1 <= participants <= MOST:
        raise RequestError(f"{participants} participants cannot be made: choose 1 to {MOST}")
    parts = tuple(Part(person(i), size, fps, codecs[i % len(codecs)]) for i in range(participants))
    return Plan(parts, seconds)
