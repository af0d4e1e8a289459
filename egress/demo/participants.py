"""N synthetic participants in one process.

Run as `python -m egress.demo.participants --whip URL --participants N --seconds S`.

Says what happens as JSON lines on stdout: `ready` (with `zero`, the monotonic ns of the plan's second 0), `published`,
`step`, `left`, `lost`, `refused`, and `done` with counters. SIGINT or SIGTERM ends it politely. Exit code 0 when
everyone could publish, 1 when someone could not, 2 for bad input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from egress.demo import clip as clips
from egress.demo import plan as plans
from egress.demo.clip import Clip
from egress.demo.people import person
from egress.demo.plan import Part, Plan, Step
from egress.demo.publisher import Publisher, offer_loopback_when_alone
from egress.demo.troupe import FROM_STDIN
from egress.model import units
from egress.model.clock import monotonic
from egress.model.errors import EgressError, RequestError, RoomRefused, RoomUnreachable
from egress.model.media import MILLISECOND, SECOND, Codec, Nanos, Size

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

_PATIENCE = 15 * SECOND
_CODECS = {"vp8": (Codec.VP8,), "h264": (Codec.H264,), "both": (Codec.VP8, Codec.H264)}


def say(event: str, /, **details: Any) -> None:
    """One event on stdout."""
    print(json.dumps({"type": event, **details}), flush=True)


@dataclass
class Actor:
    """Plays one part: publishes when the plan says so, and comes back by itself when the server is lost."""

    part: Part
    url: str
    token: str | None
    zero: Nanos
    clips: dict[Size, Clip]
    sound: tuple[bytes, ...] | None
    counters: Counter[str] = field(default_factory=Counter)
    refused: str | None = None
    _publisher: Publisher | None = None
    _muted: set[str] = field(default_factory=set)
    _size: Size | None = None
    _stopping: bool = False

    async def play(self, until: Nanos) -> None:
        """Take every step at its time, then leave at `until`."""
        try:
            for step in self.part.steps:
                await self._wait(min(self._at(step), until))
                if self._at(step) >= until or self._stopping:
                    break
                await self._take(step)
            await self._wait(until)
        finally:
            await self._leave(politely=True)

    def stop(self) -> None:
        """Leave soon, whatever the plan says."""
        self._stopping = True

    def _at(self, step: Step) -> Nanos:
        return self.zero + round(step.at * SECOND)

    async def _wait(self, until: Nanos) -> None:
        while not self._stopping and (left := until - monotonic()) > 0:
            await asyncio.sleep(min(left, 250 * MILLISECOND) / SECOND)
            if self._publisher is not None and not self._publisher.alive:
                say("lost", peer=self.part.person.id)
                await self._leave(politely=False)
                self.counters["lost"] += 1
                await self._publish(until)

    async def _take(self, step: Step) -> None:
        at = self._at(step)
        match step.do:
            case "publish":
                await self._leave(politely=True)
                await self._publish(at + _PATIENCE)
            case "unpublish" | "drop":
                await self._leave(politely=step.do == "unpublish")
            case "mute" | "unmute":
                muted = step.do == "mute"
                (self._muted.add if muted else self._muted.discard)(str(step.kind))
                if self._publisher is not None:
                    self._publisher.send(str(step.kind), not muted, at)
            case "resize":
                self._size = step.size
                if self._publisher is not None and step.size is not None:
                    self._publisher.show(self.clips[step.size])
        say("step", peer=self.part.person.id, do=step.do, kind=step.kind, at=step.at)

    async def _publish(self, until: Nanos) -> None:
        """Publish, trying again while the server does not answer; gives up at `until`."""
        while not self._stopping:
            publisher = Publisher(
                self.part.person,
                self.url,
                token=self.token,
                clip=self.clips[self._size or self.part.size] if "video" in self.part.kinds else None,
                sound=self.sound,
                lag={"audio": self.part.lag[0] * MILLISECOND, "video": self.part.lag[1] * MILLISECOND},
                screen_of=None if self.part.screen_of is None else person(self.part.screen_of),
            )
            try:
                await publisher.open()
            except RoomUnreachable as error:
                if monotonic() >= until:
                    self._refuse(error)
                    return
                await asyncio.sleep(0.5)
                continue
            except RoomRefused as error:
                self._refuse(error)
                return
            for kind in self._muted:
                publisher.send(kind, False)
            self._publisher = publisher
            say("published", peer=self.part.person.id, at=round((monotonic() - self.zero) / SECOND, 3))
            return

    def _refuse(self, error: EgressError) -> None:
        self.refused = error.message
        say("refused", peer=self.part.person.id, reason=error.message)

    async def _leave(self, *, politely: bool) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await (publisher.close() if politely else publisher.drop())
            self.counters.update(publisher.stats())
            say("left", peer=self.part.person.id, politely=politely)


async def perform(plan: Plan, url: str, token: str | None) -> int:
    """Play a plan against a WHIP endpoint; the exit code."""
    offer_loopback_when_alone()
    work = [(part.person, size, part.fps, part.codec) for part in plan.parts for size in part.sizes]
    try:
        await asyncio.to_thread(clips.prepare, work)
    except ValueError as error:
        raise RequestError(str(error)) from error
    instructions = Instructions() if url == FROM_STDIN else None
    if instructions is not None:
        url = await instructions.where()
    actors = []
    zero = -(-(monotonic() + SECOND // 5) // SECOND) * SECOND
    for part in plan.parts:
        loops = {size: clips.video(part.person, size, part.fps, part.codec) for size in part.sizes}
        sound = clips.audio(part.person) if "audio" in part.kinds else None
        actors.append(Actor(part, url, token, zero, loops, sound))
    say("ready", participants=len(actors), zero=zero, seconds=plan.seconds)

    def stop() -> None:
        for actor in actors:
            actor.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    leaving = asyncio.create_task(instructions.ended()) if instructions is not None else None
    if leaving is not None:
        leaving.add_done_callback(lambda _: stop())
    until = zero + round(plan.seconds * SECOND)
    await asyncio.gather(*(actor.play(until) for actor in actors))
    if instructions is not None and leaving is not None:
        leaving.cancel()
        instructions.close()
    total: Counter[str] = Counter()
    for actor in actors:
        total.update(actor.counters)
    say("done", **total)
    return 1 if any(actor.refused for actor in actors) else 0


class Instructions:
    """Our parent's, on standard input: first where to publish, and its end, also by the parent's death, is ours."""

    def __init__(self) -> None:
        self._reader = asyncio.StreamReader()
        self._pipe: asyncio.ReadTransport | None = None

    async def where(self) -> str:
        """The address to publish to, once it is known."""
        protocol = asyncio.StreamReaderProtocol(self._reader)
        self._pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        say("prepared")
        line = (await self._reader.readline()).decode().strip()
        if not line:
            raise RequestError("--whip -: no address came on standard input")
        return line

    async def ended(self) -> None:
        """Wait for the end of the input."""
        while await self._reader.read(4096):
            pass

    def close(self) -> None:
        """Stop reading."""
        if self._pipe is not None:
            self._pipe.close()


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m egress.demo.participants", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--whip",
        required=True,
        metavar="URL",
        help="where to publish, e.g. http://127.0.0.1:8080/whip/standup; - to get ready, then read it from standard "
        "input, whose end is the end of the performance",
    )
    parser.add_argument("--participants", type=int, default=4, metavar="N")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="how long they stay (default 20)")
    parser.add_argument("--codec", choices=sorted(_CODECS), default="vp8", help="both: they take turns")
    parser.add_argument("--size", default="640x360", metavar="WxH")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--token", help="bearer token of the WHIP endpoint; better given in EGRESS_WHIP_TOKEN")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="a plan as JSON; stands above the other options")
    parser.add_argument("--audio-only", action="store_true", help="cameras stay off")
    return parser.parse_args(words)


def _plan(args: argparse.Namespace) -> Plan:
    if args.plan is not None:
        try:
            return Plan.loads(args.plan.read_text())
        except OSError as error:
            raise RequestError(f"the plan {args.plan} cannot be read: {error.strerror}") from error
    try:
        size = units.size(args.size)
    except ValueError as error:
        raise RequestError(f"--size: {error}") from error
    if not (64 <= size.width <= 1920 and 64 <= size.height <= 1920):
        raise RequestError(f"--size {size} is out of range: 64x64 to 1920x1920")
    if not 1 <= args.fps <= 100:
        raise RequestError(f"--fps {args.fps} is out of range: 1 to 100")
    plan = plans.simple(args.participants, args.seconds, size=size, fps=args.fps, codecs=_CODECS[args.codec])
    if args.audio_only:
        return replace(plan, parts=tuple(replace(part, kinds=("audio",)) for part in plan.parts))
    return plan


def main(words: list[str] | None = None) -> int:
    """Parse, perform, exit code."""
    args = _arguments(words)
    try:
        performance = perform(_plan(args), args.whip, args.token or os.environ.get("EGRESS_WHIP_TOKEN"))
        if uvloop is not None:
            return uvloop.run(performance)
        return asyncio.run(performance)
    except RequestError as error:
        print(f"participants: {error.message}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
