"""One visit to one room: join unseen, make the programme, feed the sinks, and end by one ladder."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egress.chronicle import Chronicle
from egress.desk import Desk, placeholders
from egress.exertion import Exertion
from egress.media.floor import Floor
from egress.media.programme import Programme
from egress.media.strain import Step
from egress.media.unmade import Unmade
from egress.model import control, registry
from egress.model.clock import SessionClock
from egress.model.errors import Blame, DestinationError, EgressError, Fault, RequestError
from egress.model.internet import anywhere, public
from egress.model.job import Artifact, JobState
from egress.model.media import SECOND, Nanos, Packet
from egress.model.order import JobOrder
from egress.model.passing import Passed, TrackFrame
from egress.model.room import RoomClosed
from egress.model.units import duration_text
from egress.outlets import Outlets
from egress.passage import Passage
from egress.portraits import Portraits
from egress.rooms.base import Identity, RoomConnector, RoomSession, RoomURL
from egress.sinks.base import END, Mark
from egress.stage import Stage
from egress.storage.attempts import AttemptLog
from egress.storage.attendance import Attendance
from egress.storage.manifest import write_manifest

_log = logging.getLogger(__name__)

Announce = Callable[[dict[str, Any]], None]

EMPTY = "the room is empty"

ALIVE_EVERY = 1.0
"""Seconds between `alive` events, each with the figures an operator watches."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended."""

    state: JobState
    reason: str
    blame: Blame | None
    artifacts: tuple[Artifact, ...]
    length: Nanos
    manifest: str | None = None
    """Where it is: beside that of another job which ended later, where both name the same place."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one visit consists of."""

    visit: RoomSession
    clock: SessionClock
    programme: Programme | Unmade
    stage: Stage
    outlets: Outlets
    chronicle: Chronicle
    since: Nanos
    """The job's time of session time 0: what attempts before this one took, and the gaps after them."""


class Session:
    """Runs one job from joining to its manifest. `stop` may be called at any time, from the loop, more than once."""

    def __init__(self, order: JobOrder, announce: Announce) -> None:
        self._order = order
        self._announce = announce
        self._stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._fault: EgressError | None = None
        self._bytes = 0
        self._attendance = Attendance.of(order)
        self._attempts = AttemptLog(Path(order.folder))
        self._desk: Desk | None = None
        self._exertion = Exertion()

    def command(self, line: bytes) -> None:
        """Obey what an operator says, a line of JSON (egress.model.control), and answer it by an event."""
        if self._desk is not None:
            self._desk.hear(line)
            return
        try:
            command = control.parse(line)
            if not isinstance(command, control.Stop):
                when = "it is ending" if self._stopped.done() else "it has not joined its room yet"
                raise RequestError(f"the job does not listen: {when}", (("command", f"comes at a wrong time: {when}"),))
        except RequestError as error:
            self._announce(control.answer(control.echo(line), error=error))
            return
        self.stop(command.reason)
        self._announce(control.answer(command, message="stopping"))

    def stop(self, reason: str) -> None:
        """Begin the stop ladder; the first reason counts."""
        if not self._stopped.done():
            self._stopped.set_result(reason)

    async def run(self) -> Outcome:
        """The whole visit; raises nothing but cancellation: failures are in the Outcome."""
        try:
            url = RoomURL.parse(self._order.room)
            connector: RoomConnector = registry.load("connectors", url.scheme)()
            options = {**self._order.room_options, "reorder": str(self._order.reorder)}
            if self._order.whip_token:
                options["token"] = self._order.whip_token
            async with connector.join(url, Identity(options=options)) as visit:
                return await self._visit(visit)
        except EgressError as error:
            return Outcome(JobState.FAILED, error.message, error.blame, (), 0)

    async def _visit(self, visit: RoomSession) -> Outcome:
        clock = SessionClock.start()
        since = self._begun(clock)
        loop = asyncio.get_running_loop()
        outlets: Outlets | None = None

        def on_packet(packet: Packet) -> None:
            self._bytes += len(packet.data)
            if outlets is not None:
                outlets.write(packet)

        def on_passed(passed: Passed) -> None:
            self._bytes += sum(len(item.frame.data) for item in passed.items if isinstance(item, TrackFrame))
            if outlets is not None:
                outlets.pass_on(passed)

        def on_error(error: EgressError) -> None:
            loop.call_soon_threadsafe(self._fail, error)

        def on_warning(message: str) -> None:
            self._announce({"type": "warning", "message": message})

        def on_floor(floor: Floor) -> None:
            loop.call_soon_threadsafe(stage.give_floor, floor)
            loop.call_soon_threadsafe(chronicle.spoke, floor.speaker, floor.since)

        def on_pause(paused: bool, at: Nanos) -> None:
            chronicle.cut(paused, at)
            loop.call_soon_threadsafe(chronicle.paused, paused, at)
            if passage is not None and not paused:
                loop.call_soon_threadsafe(passage.refresh)

        def on_strain(step: Step) -> None:
            loop.call_soon_threadsafe(chronicle.strained, step)

        pipeline = self._order.pipeline
        programme: Programme | Unmade
        if pipeline.composed:
            programme = Programme(pipeline, clock, on_packet, on_error, on_warning, on_floor, on_pause, on_strain)
        else:
            programme = Unmade(clock, pipeline.delay, on_pause)
        passage = Passage(clock, on_passed, hold=pipeline.delay) if pipeline.passed else None
        outlets = Outlets(self._order, clock.wall, programme.infos, self._announce)
        portraits = Portraits(anywhere if self._order.private_avatars else public)
        stage = Stage(pipeline, clock, visit, programme, on_warning, portraits.get, passage)
        delay = pipeline.delay
        chronicle = Chronicle(clock, stage, outlets, self._attendance, self._announce, delay=delay, since=since)
        values = placeholders(self._order, clock.wall)
        self._desk = Desk(
            self._order,
            values,
            stage,
            self._announce,
            on_stop=self.stop,
            on_mark=chronicle.mark,
            on_destination=outlets.change,
        )
        self._announce({"type": "ready", "started": clock.wall.isoformat(), "origin": clock.origin, **visit.info()})
        programme.start()
        parts = _Parts(visit, clock, programme, stage, outlets, chronicle, since)
        pulse = self._start(self._pulse(parts), "pulse")
        tasks = [
            self._start(self._follow(parts), "follow the room"),
            self._start(self._watch(parts), "watch the rules"),
        ]
        try:
            reason = await self._stopped
            self._desk = None
            await _end(*tasks)
            return await self._ladder(reason, parts)
        finally:
            await _end(pulse, *tasks)
            await portraits.close()

    def _begun(self, clock: SessionClock) -> Nanos:
        """Note that this attempt begins to record, and what the ones before it left out; the job's time of that."""
        since = self._attempts.begin(self._order.attempt, clock)
        if len(self._attempts.rows) > 1:
            before = self._attempts.rows[-2]
            self._attendance.resumed(before.end, since, before.why)
        return since

    async def _ladder(self, reason: str, parts: _Parts) -> Outcome:
        """Stop, step by step; whatever a step meets, the next ones are still taken."""
        now = parts.clock.now()
        end = now
        if self._order.seconds is not None:
            end = max(0, min(now, round(self._order.seconds * SECOND) - parts.since))
        self._announce({"type": "state", "state": JobState.STOPPING, "reason": reason})
        pipeline = self._order.pipeline
        card = pipeline.cards.end if pipeline.video is not None and pipeline.composed else None
        captured = end
        if card is not None and self._fault is None:
            parts.stage.end_with(card, end)
            end += card.duration
        length = await asyncio.to_thread(parts.programme.finish, end)
        if reason == EMPTY and self._published(parts):
            # Nobody wants to keep the minutes after the last one has gone.
            parts.outlets.mark(Mark(min(length, parts.stage.last_seen), END, reason))
        await parts.stage.close(until=captured)
        artifacts = await parts.outlets.close()
        outcome = self._judge(reason, parts, artifacts, parts.since + length)
        self._attempts.ended(self._order.attempt, outcome.length, reason, parts.programme.stats.degraded)
        try:
            manifest = await asyncio.to_thread(
                write_manifest,
                self._order.manifest,
                self._order,
                outcome.state,
                outcome.reason,
                started=self._attempts.started(parts.clock.wall),
                ended=datetime.now(UTC),
                length=outcome.length,
                attendance=self._attendance,
                artifacts=artifacts,
                figures=self._figures(parts),
                blame=outcome.blame,
                attempts=self._attempts.table(),
                degraded=self._attempts.degraded,
                streams=parts.programme.infos,
            )
        except (OSError, DestinationError) as error:
            why = error.message if isinstance(error, DestinationError) else error.strerror
            message = f"the manifest {self._order.manifest} could not be written: {why}"
            self._announce({"type": "warning", "message": message})
            if outcome.state is JobState.FINISHED:
                return replace(outcome, state=JobState.FAILED, reason=message, blame=Blame.DESTINATION)
            return outcome
        return replace(outcome, manifest=manifest)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose failure ends the job at once, not when somebody looks."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("%s failed", name, exc_info=error)
                self._fail(error if isinstance(error, EgressError) else _fault(error))

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        return task

    def _judge(self, reason: str, parts: _Parts, artifacts: tuple[Artifact, ...], length: Nanos) -> Outcome:
        if self._fault is not None:
            return Outcome(JobState.FAILED, self._fault.message, self._fault.blame, artifacts, length)
        for _, error, required in parts.outlets.failures():
            if required:
                return Outcome(JobState.FAILED, error.message, error.blame, artifacts, length)
        if not self._published(parts):
            return Outcome(JobState.ABORTED, f"nobody ever published ({reason})", None, artifacts, length)
        count = len(self._attempts.rows)
        told = f"{reason} (in {count} attempts: a worker died on the way)" if count > 1 else reason
        return Outcome(JobState.FINISHED, told, None, artifacts, length)

    def _published(self, parts: _Parts) -> bool:
        """Whether anybody ever sent media, in this attempt or one before."""
        if parts.stage.ever_published:
            self._attempts.saw_media(self._order.attempt)
        return self._attempts.published

    def _fail(self, error: EgressError) -> None:
        self._fault = self._fault or error
        self.stop(error.message)

    async def _follow(self, parts: _Parts) -> None:
        async for event in parts.visit.events():
            before = parts.stage.room
            await parts.stage.take(event)
            parts.chronicle.tell(event, before)
            if isinstance(event, RoomClosed):
                self.stop(f"the room closed: {event.reason}")
                return
        self.stop("the room closed")

    async def _watch(self, parts: _Parts) -> None:
        """Stop when the pipeline's rules, the asked-for length, the sinks or a dead programme say so."""
        stage, outlets = parts.stage, parts.outlets
        rules = self._order.pipeline.stop
        limit = rules.max if self._order.seconds is None else min(rules.max, round(self._order.seconds * SECOND))
        why = "the asked-for length is reached" if limit < rules.max else "the longest a job may run"
        limit -= parts.since
        empty = lost = last = 0
        while True:
            now = parts.clock.now()
            self._published(parts)
            if (dead := parts.programme.stats.error) is not None:
                self._fail(Fault(dead))
            if (failures := outlets.failures()) and outlets.all_failed:
                self._fail(failures[0][1])
            if now >= limit:
                self.stop(why)
            if not stage.room.connected:
                # Who is there cannot be known, so the room does not count as empty.
                lost += now - last
                if rules.lost_for and lost >= rules.lost_for:
                    self.stop(f"the room could not be reached for {duration_text(rules.lost_for)}")
            else:
                lost = 0
                empty = 0 if stage.participants else empty + now - last
                if rules.empty_for and empty >= rules.empty_for:
                    self.stop(EMPTY)
            if stage.participants:
                stage.last_seen = now
            last = now
            await asyncio.sleep(max(0.001, min(0.25, (limit - now) / SECOND)))

    async def _pulse(self, parts: _Parts) -> None:
        """Say once a second that we are alive, also while a long stop is under way."""
        while True:
            self._attempts.beat(parts.since + parts.clock.now(), parts.programme.stats.degraded)
            self._announce({"type": "alive", **self._figures(parts)})
            await asyncio.sleep(ALIVE_EVERY)

    def _figures(self, parts: _Parts) -> dict[str, Any]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        programme = asdict(parts.programme.stats)
        programme.pop("error")
        return {
            "elapsed": round((parts.since + parts.clock.now()) / SECOND, 3),
            **programme,
            "bytes": self._bytes,
            "participants": len(parts.stage.participants),
            "network": parts.visit.stats(),
            "intake": parts.stage.stats(),
            **({"loudness": asdict(loudness)} if (loudness := parts.programme.loudness) is not None else {}),
            "encoders": parts.programme.encoders(),
            "sinks": parts.outlets.status(),
            "cpu": round(usage.ru_utime + usage.ru_stime, 2),
            "exertion": self._exertion.read(parts.programme.mixed),
            "memory": _resident(),
        }


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _resident() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize()


def _fault(error: BaseException) -> EgressError:
    return Fault(f"{type(error).__name__}: {error}")
