"""A job's sinks are fed and ended together: none can hold up, hide or lose what another made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import pytest

from egress import outlets as module
from egress.model import registry
from egress.model.errors import DestinationError
from egress.model.job import Artifact
from egress.model.media import SECOND, Codec, Packet, StreamInfo
from egress.model.order import JobOrder
from egress.model.pipeline import Pipeline
from egress.outlets import Outlets
from egress.sinks.base import Sink, SinkState, SinkThread
from egress.storage.receipt import receipt

STARTED = datetime(2026, 1, 31, 17, 45, tzinfo=UTC)
PACKET = Packet("audio", b"x", 0, 0, 1, True)
STREAM = StreamInfo("audio", "audio", Codec.OPUS, Fraction(1, 48_000), b"", 96_000, rate=48_000, channels=2)


class Hands(Sink):
    """A sink whose every step waits for the test, and which keeps a file in the spool until it has delivered."""

    closing: ClassVar[threading.Event]
    delivering: ClassVar[threading.Event]
    failing: ClassVar[type[Exception] | None] = None
    steps: ClassVar[int] = 0

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Put the file there."""
        (self.context.folder / "recording.mp4").write_bytes(b"precious")

    def write(self, packet: Packet) -> None:
        """Take it, or fail."""
        if self.failing is not None:
            raise self.failing("broken")

    def close(self) -> Sequence[Artifact]:
        """Wait to be let."""
        self.closing.wait(20)
        return (Artifact("mp4", str(self.context.folder / "recording.mp4")),)

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Wait to be let, looking busy."""
        while not self.delivering.wait(0.05):
            type(self).steps += 1
        if self.failing is not None:
            raise self.failing("the target is gone")
        Path(self.context.to).write_bytes((self.context.folder / "recording.mp4").read_bytes())
        (self.context.folder / "recording.mp4").unlink()
        return (Artifact("mp4", self.context.to),)

    def abort(self) -> Sequence[Artifact]:
        """Keep the file."""
        return (Artifact("mp4", str(self.context.folder / "recording.mp4"), details={"final": False}),)

    def status(self) -> dict[str, Any]:
        """How busy it looks."""
        return {"steps": self.steps}


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hands]]:
    class Own(Hands):
        closing = threading.Event()
        delivering = threading.Event()

    load = registry.load
    monkeypatch.setattr(registry, "load", lambda kind, name: Own if kind == "sinks" else load(kind, name))
    yield Own
    Own.closing.set()
    Own.delivering.set()


def _outlets(tmp_path: Path, announce: Callable[[dict[str, Any]], None], *sinks: dict[str, Any]) -> Outlets:
    rows = sinks or ({"kind": "mp4", "to": str(tmp_path / "a.mp4")},)
    order = JobOrder(
        id="job-1",
        room="local:standup",
        title="Standup",
        pipeline=Pipeline.model_validate({"name": "p", "sinks": rows}),
        folder=str(tmp_path / "spool" / "job-1"),
        manifest=str(tmp_path / "manifest.json"),
    )
    return Outlets(order, STARTED, (), announce)


async def test_a_sink_that_does_not_close_in_time_has_failed_and_keeps_its_file(
    tmp_path: Path, hands: type[Hands], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEADLINE", 0.3)
    monkeypatch.setattr(module, "GRACE", 0.1)
    told: list[dict[str, Any]] = []
    outlets = _outlets(tmp_path, told.append)
    await outlets.close()
    ((name, error, required),) = outlets.failures()
    folder = tmp_path / "spool" / "job-1" / "0-mp4"
    assert required and "not done within 0.3 s" in error.message and str(folder) in error.message
    assert outlets.undelivered == ((name, folder),)
    assert [event["spool"] for event in told if event["type"] == "sink"] == [str(folder)]
    hands.closing.set()
    assert outlets._outlets[0].thread.join(10)
    assert (folder / "recording.mp4").read_bytes() == b"precious", "closing late, it is not delivered any more"
    assert outlets._outlets[0].thread.state is SinkState.FAILED


async def test_delivering_may_take_longer_than_closing(
    tmp_path: Path, hands: type[Hands], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEADLINE", 0.3)
    monkeypatch.setattr(module, "STANDSTILL", 5.0)
    hands.closing.set()
    outlets = _outlets(tmp_path, lambda event: None)
    threading.Timer(1.2, hands.delivering.set).start()
    (artifact,) = await outlets.close()
    assert artifact.location == str(tmp_path / "a.mp4")
    assert not outlets.failures() and not outlets.undelivered
    assert receipt(tmp_path / "spool" / "job-1" / "0-mp4") == (artifact,)


async def test_a_delivery_that_stands_still_is_given_up(
    tmp_path: Path, hands: type[Hands], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STANDSTILL", 0.2)
    monkeypatch.setattr(module, "GRACE", 0.1)
    monkeypatch.setattr(hands, "status", lambda self: {})
    hands.closing.set()
    outlets = _outlets(tmp_path, lambda event: None)
    await outlets.close()
    ((_, error, _),) = outlets.failures()
    assert "no progress" in error.message
    assert len(outlets.undelivered) == 1


async def test_a_sink_nobody_needs_keeps_what_it_could_not_deliver_and_says_where(
    tmp_path: Path, hands: type[Hands], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "failing", DestinationError)
    hands.closing.set()
    hands.delivering.set()
    told: list[dict[str, Any]] = []
    outlets = _outlets(tmp_path, told.append, {"kind": "mp4", "to": str(tmp_path / "a.mp4"), "required": False})
    (artifact,) = await outlets.close()
    assert artifact.details == {"final": False}
    (event,) = told
    assert (event["reason"], event["required"]) == ("the target is gone", False)
    assert event["spool"] == str(outlets.undelivered[0][1])


async def test_two_streams_that_are_shown_alike_have_names_of_their_own_and_both_say_that_they_failed(
    tmp_path: Path, hands: type[Hands], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "failing", DestinationError)
    hands.closing.set()
    hands.delivering.set()
    told: list[dict[str, Any]] = []
    rows = [{"kind": "rtmp", "to": f"rtmp://host.example/live/{key}"} for key in ("key-one-1", "key-two-2")]
    outlets = _outlets(tmp_path, told.append, *rows)
    await outlets.close()
    names = ["rtmp rtmp://host.example/live/…", "rtmp rtmp://host.example/live/… (2)"]
    assert [name for name, _, _ in outlets.failures()] == names
    assert len(told) == 2


def test_a_full_queue_before_a_dead_sink_does_not_keep_anyone_from_ending(tmp_path: Path) -> None:
    hold = threading.Event()

    class Dying(Hands):
        closing = delivering = hold

        def write(self, packet: Packet) -> None:
            hold.wait(20)
            raise RuntimeError("dead")

    from tests.flashes import context

    sink = Dying(
        Pipeline.model_validate({"name": "p", "sinks": [{"kind": "mp4", "to": "/a.mp4"}]}).sinks[0],
        context(tmp_path / "spool", tmp_path / "a.mp4"),
    )
    thread = SinkThread("dying", sink, (STREAM,), size=1)
    assert thread.offer(PACKET)
    while thread.depth:
        pass
    assert thread.offer(PACKET)
    assert not thread.finish(0.3), "the queue is full and nobody takes from it"
    hold.set()
    assert thread.join(10)
    assert thread.finish(5)
    assert thread.state is SinkState.FAILED and thread.error is not None and "dead" in thread.error.message


class Counting(Sink):
    """Keeps what it is given, and how often there was nothing left."""

    def __init__(self, lull: int, folder: Path) -> None:
        from tests.flashes import context

        super().__init__(
            Pipeline.model_validate({"name": "p", "sinks": [{"kind": "mp4", "to": "/a.mp4"}]}).sinks[0],
            context(folder / "spool", folder / "a.mp4"),
        )
        self.lull = lull
        self.taken: list[Packet] = []
        self.first = threading.Event()

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Nothing to do."""

    def write(self, packet: Packet) -> None:
        """Count it."""
        self.taken.append(packet)
        self.first.set()

    def close(self) -> Sequence[Artifact]:
        """Nothing was made."""
        return ()

    def abort(self) -> Sequence[Artifact]:
        """Nothing is left."""
        return ()


def test_a_sink_at_rest_takes_what_came_when_it_ends_and_loses_nothing(tmp_path: Path) -> None:
    sink = Counting(lull=3600 * SECOND, folder=tmp_path)
    thread = SinkThread("resting", sink, (STREAM,))
    while not thread._resting:
        pass
    assert all(thread.offer(PACKET) for _ in range(10))
    assert not sink.first.wait(0.05), "it rests"
    assert thread.finish(10) and thread.state is not SinkState.FAILED
    assert len(sink.taken) == 10


def test_a_sink_at_rest_is_roused_by_a_crowd_and_by_being_given_up(tmp_path: Path) -> None:
    sink = Counting(lull=3600 * SECOND, folder=tmp_path)
    thread = SinkThread("resting", sink, (STREAM,))
    while not thread._resting:
        pass
    assert all(thread.offer(PACKET) for _ in range(200))
    assert sink.first.wait(10)
    thread.give_up("enough")
    assert thread.join(10)


def test_a_sink_that_never_rests_takes_each_packet_at_once(tmp_path: Path) -> None:
    sink = Counting(lull=0, folder=tmp_path)
    thread = SinkThread("eager", sink, (STREAM,))
    for _ in range(3):
        sink.first.clear()
        assert thread.offer(PACKET)
        assert sink.first.wait(10)
    assert thread.finish(10)
