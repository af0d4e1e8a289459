"""The plan of a test: who publishes, mutes, leaves and returns when, and what the product must therefore show.

Transitions sit half a second off whole seconds; flashes and beeps are on them. So every second of every participant is
required, optional (just after a change) or forbidden.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from egress.demo.plan import KINDS, Kind, Part, Plan, Step, simple
from egress.model.clock import monotonic
from egress.model.media import SECOND, Codec, Nanos, Size

_SIZE = Size(640, 360)
_AFTER_PUBLISH = 1.0
_AFTER_UNMUTE = 0.4
_AFTER_END = 0.4
_EVENT = 0.12


class Expect(Enum):
    """What a product must do with an event."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class World:
    """A plan under construction, and what follows from it; every method gives a new world."""

    plan: Plan
    unselected: frozenset[str] = frozenset()
    unjudged: tuple[tuple[float, float], ...] = ()

    @classmethod
    def everyone(
        cls,
        participants: int,
        seconds: float,
        *,
        size: Size = _SIZE,
        fps: int = 30,
        codecs: tuple[Codec, ...] = (Codec.VP8,),
    ) -> World:
        """All publish from second 0 to the end."""
        return cls(simple(participants, seconds, size=size, fps=fps, codecs=codecs))

    def _with(self, who: int, **changes: object) -> World:
        parts = tuple(replace(p, **changes) if p.person.index == who else p for p in self.plan.parts)  # type: ignore[arg-type]
        return replace(self, plan=replace(self.plan, parts=parts))

    def _then(self, who: int, *steps: Step) -> World:
        return self._with(who, steps=tuple(sorted((*self.part(who).steps, *steps), key=lambda step: step.at)))

    def part(self, who: int) -> Part:
        """What a participant does."""
        return next(part for part in self.plan.parts if part.person.index == who)

    def late(self, who: int, at: float) -> World:
        """Publishes first at this second."""
        return self._with(who, steps=(Step(at, "publish"),))

    def mutes(self, who: int, kind: Kind, start: float, end: float | None = None) -> World:
        """Sends nothing of one kind for a while."""
        world = self._then(who, Step(start, "mute", kind))
        return world if end is None else world._then(who, Step(end, "unmute", kind))

    def away(self, who: int, start: float, end: float | None = None) -> World:
        """Unpublishes, and publishes again with new SSRCs."""
        world = self._then(who, Step(start, "unpublish"))
        return world if end is None else world._then(who, Step(end, "publish"))

    def drops(self, who: int, start: float, end: float | None = None) -> World:
        """Vanishes without goodbye, and publishes again."""
        world = self._then(who, Step(start, "drop"))
        return world if end is None else world._then(who, Step(end, "publish"))

    def resizes(self, who: int, at: float, size: Size) -> World:
        """Changes the resolution in mid-track."""
        return self._then(who, Step(at, "resize", size=size))

    def camera_off(self, who: int) -> World:
        """Publishes sound only."""
        return self._with(who, kinds=("audio",))

    def shares(self, who: int, *, of: int, start: float, end: float | None = None) -> World:
        """Is the shared screen of another participant for a while, without sound."""
        world = self._with(who, kinds=("video",), screen_of=of, steps=(Step(start, "publish"),))
        return world if end is None else world._then(who, Step(end, "unpublish"))

    def lags(self, who: int, *, audio_ms: int = 0, video_ms: int = 0) -> World:
        """Sends later than it captures, as encoders do; the product must not show it."""
        return self._with(who, lag=(audio_ms, video_ms))

    def selects(self, *roles: str) -> World:
        """The pipeline takes only these roles: the others must not appear at all."""
        return replace(self, unselected=frozenset({"host", "guest"} - set(roles)))

    def unsure(self, start: float, end: float) -> World:
        """Between these seconds anything may be seen and heard, or nothing: when exactly is not for the plan to say."""
        return replace(self, unjudged=(*self.unjudged, (start, end)))

    def spans(self, who: int, kind: Kind) -> tuple[tuple[float, float, float], ...]:
        """When a participant sends a kind: (from, until, seconds of grace at the beginning)."""
        part = self.part(who)
        if kind not in part.kinds or part.person.role in self.unselected:
            return ()
        spans: list[tuple[float, float, float]] = []
        published, muted, since, grace = False, False, 0.0, _AFTER_PUBLISH
        for step in (*part.steps, Step(self.plan.seconds, "unpublish")):
            was_on = published and not muted
            if step.do == "publish":
                published = True
            elif step.do in ("unpublish", "drop"):
                published = False
            elif step.do in ("mute", "unmute") and step.kind == kind:
                muted = step.do == "mute"
            is_on = published and not muted
            if was_on and (not is_on or step.do == "publish"):
                spans.append((since, step.at, grace))
            if is_on and (not was_on or step.do == "publish"):
                since, grace = step.at, _AFTER_UNMUTE if step.do == "unmute" else _AFTER_PUBLISH
        return tuple(spans)

    def expect(self, who: int, kind: Kind, second: int) -> Expect:
        """What must become of the flash or beep on this second of the plan."""
        if any(start <= second <= end for start, end in self.unjudged):
            return Expect.OPTIONAL
        for since, until, grace in self.spans(who, kind):
            if since + grace <= second and second + _EVENT <= until:
                return Expect.REQUIRED
            if since - _EVENT <= second <= until + _AFTER_END:
                return Expect.OPTIONAL
        return Expect.FORBIDDEN

    @property
    def participants(self) -> tuple[int, ...]:
        """Everyone's number."""
        return tuple(part.person.index for part in self.plan.parts)

    @asynccontextmanager
    async def perform(
        self, whip: str, token: str | None = None, troupe: str = "egress.demo.participants"
    ) -> AsyncIterator[Cast]:
        """The participants' process for the length of the context, from when it is ready; `troupe` is its module."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "plan.json"
            path.write_text(self.plan.dumps())
            words = ["--whip", whip, "--plan", str(path), *(["--token", token] if token else [])]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", troupe, *words, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            cast = Cast(process, [])
            try:
                await cast._read_until("ready")
                cast._reading = asyncio.create_task(cast._read_until(None))
                yield cast
            finally:
                await cast.end()


@dataclass
class Cast:
    """The running participants; `events` is what they have said, each with when it was `heard` (monotonic ns)."""

    process: asyncio.subprocess.Process
    events: list[dict[str, Any]]
    _reading: asyncio.Task[None] | None = None

    @property
    def zero(self) -> Nanos:
        """The plan's second 0 on the monotonic clock."""
        return next(int(event["zero"]) for event in self.events if event["type"] == "ready")

    async def until(self, second: float) -> None:
        """Wait for a second of the plan."""
        await asyncio.sleep(max(0.0, (self.zero - asyncio.get_running_loop().time() * SECOND) / SECOND + second))

    async def end(self) -> None:
        """Have everyone leave now, if they have not yet; all has been said then."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 60)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        if self._reading is not None:
            await self._reading

    async def finished(self) -> int:
        """Wait for the plan's end; the process's exit code."""
        return await self.process.wait()

    async def _read_until(self, kind: str | None) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.events.append({**json.loads(line), "heard": monotonic()})
            if self.events[-1]["type"] == kind:
                return
        if kind is not None:
            raise RuntimeError(f"the participants ended before they were {kind}: exit {await self.process.wait()}")


__all__ = ["KINDS", "Cast", "Expect", "World"]
