"""Streams added to and removed from a running job: what is refused, what it answers, and that nobody else notices."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from egress import outlets as module
from egress.model import registry
from egress.model.control import AddDestination, RemoveDestination
from egress.model.errors import DestinationError, RequestError
from egress.model.job import Artifact
from egress.model.media import Codec, Packet, StreamInfo
from egress.model.order import JobOrder
from egress.model.pipeline import Pipeline
from egress.outlets import Outlets
from egress.sinks.base import Sink

KEY = "canary-58c1d2-9930"
ADDRESS = f"rtmp://host.example/live/{KEY}"
STREAM = StreamInfo("audio", "audio", Codec.AAC, Fraction(1, 48_000), b"", 96_000, rate=48_000, channels=2)


class Kept(Sink):
    """A sink that keeps what it gets; `broken` names addresses that fail when they end."""

    broken = ""

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Begin with nothing."""
        self.packets: list[int] = []
        self.ending = threading.Event()

    def write(self, packet: Packet) -> None:
        """Keep it."""
        if self.broken == "at once":
            raise DestinationError("broken")
        self.packets.append(packet.pts)

    def close(self) -> Sequence[Artifact]:
        """End, or fail."""
        self.ending.set()
        if self.broken and self.broken in self.context.to:
            raise DestinationError("broken")
        return (
            Artifact(self.doc.kind, self.context.options["name"] or self.context.to, details={"n": len(self.packets)}),
        )

    def abort(self) -> Sequence[Artifact]:
        """Leave nothing."""
        return ()


class Job:
    """The outlets of a job, and what it says."""

    def __init__(self, folder: Path, *sinks: dict[str, Any], **document: Any) -> None:
        self.events: list[dict[str, Any]] = []
        rows = sinks or ({"kind": "mp4", "to": "/a.mp4"},)
        order = JobOrder(
            id="job-1",
            room="local:standup",
            title="Standup",
            pipeline=Pipeline.model_validate({"name": "p", "sinks": rows, **document}),
            folder=str(folder / "spool" / "job-1"),
            manifest=str(folder / "manifest.json"),
        )
        self.outlets = Outlets(order, datetime(2026, 1, 31, tzinfo=UTC), (STREAM,), self.events.append)
        self._count = 0

    def add(self, to: str = ADDRESS, name: str = "") -> str:
        return self.outlets.change(AddDestination(to=to, name=name))

    def remove(self, destination: str) -> str:
        return self.outlets.change(RemoveDestination(destination=destination))

    def refused(self, **command: str) -> tuple[str, str]:
        """The field that is wrong and why; nothing has changed."""
        before = self.names
        with pytest.raises(RequestError) as caught:
            if "destination" in command:
                self.remove(**command)
            else:
                self.add(**command)
        assert self.names == before
        assert KEY not in caught.value.message + str(caught.value.problems)
        ((field, message),) = caught.value.problems
        return field, message

    @property
    def names(self) -> list[str]:
        return [row["sink"] for row in self.outlets.status()]

    def play(self, count: int = 3) -> None:
        for _ in range(count):
            self.outlets.write(Packet("audio", b"x", self._count, self._count, 1, True))
            self._count += 1


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Kept]]:
    class Own(Kept):
        """One test's."""

    load = registry.load
    monkeypatch.setattr(registry, "load", lambda kind, name: Own if kind == "sinks" else load(kind, name))
    yield Own


async def test_one_that_is_added_gets_what_comes_from_then_on_and_one_that_is_removed_ends_in_good_order(
    tmp_path: Path, kept: type[Kept]
) -> None:
    job = Job(tmp_path)
    job.play()
    assert job.add(name="main") == "connecting to main"
    assert job.names == ["mp4 /a.mp4", "rtmp main"]
    job.play()
    assert job.add("srt://host.example:9000?passphrase=" + KEY) == "connecting to srt://host.example:9000?passphrase=…"
    job.play()
    assert job.remove("main") == "ending main"
    job.play()
    made = await job.outlets.close()
    assert [(row.kind, row.location, row.details["n"]) for row in made] == [
        ("mp4", "/a.mp4", 12),
        ("rtmp", "main", 6),
        ("srt", "srt://host.example:9000?passphrase=…", 6),
    ]
    assert not job.outlets.failures()
    assert KEY not in json.dumps(job.events, default=str) + str(job.names)


async def test_a_name_a_redacted_address_and_the_address_itself_all_tell_which(
    tmp_path: Path, kept: type[Kept]
) -> None:
    job = Job(tmp_path)
    for number in range(3):
        job.add(f"{ADDRESS}{number}", f"name {number}")
    assert job.remove("name 0") == "ending name 0"
    assert job.remove(f"{ADDRESS}1") == "ending name 1"
    assert job.remove("rtmp://host.example/live/…9302") == "ending name 2"
    await job.outlets.close()


async def test_what_is_refused_names_the_field_and_never_the_key(tmp_path: Path, kept: type[Kept]) -> None:
    job = Job(tmp_path)
    job.add(name="main")
    assert job.refused(to=ADDRESS, name="other") == (
        "to",
        "is streamed to already, as main; remove that first, or use another key",
    )
    assert job.refused(to="rtmp://other/live/a-key", name="main")[0] == "name"
    for wrong in (f"http://host/{KEY}", KEY, f"rtmp://host:{KEY}/a/b", f"srt://host?passphrase={KEY}", "twitch://"):
        field, message = job.refused(to=wrong)
        assert field == "to" and ("write it like" in message or "it needs one of" in message)
    field, message = job.refused(destination=f"rtmp://host.example/live/{KEY}-other")
    assert field == "destination" and message.endswith("which are: main")
    assert job.refused(destination="mp4 /a.mp4")[0] == "destination", "only streams come and go"
    await job.outlets.close()
    with pytest.raises(RequestError, match="the job is ending"):
        job.add("rtmp://other/live/a-key")


async def test_two_that_are_shown_alike_are_told_apart_by_their_names(tmp_path: Path, kept: type[Kept]) -> None:
    job = Job(tmp_path)
    job.add("rtmp://host/live/key-1")
    assert job.add("rtmp://host/live/key-2") == "connecting to rtmp://host/live/… (2)"
    assert job.remove("rtmp://host/live/… (2)")
    assert job.remove("rtmp://host/live/…")
    assert "about to end" in job.refused(to="rtmp://host/live/key-2")[1]
    await job.outlets.settled()
    assert job.add("rtmp://host/live/key-2") == "connecting to rtmp://host/live/…"
    await job.outlets.close()


async def test_a_job_takes_so_many_at_a_time_and_so_many_in_all(
    tmp_path: Path, kept: type[Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SINKS", 3)
    monkeypatch.setattr(module, "MOST_SINKS", 4)
    job = Job(tmp_path)
    job.add(f"{ADDRESS}1")
    job.add(f"{ADDRESS}2")
    assert "3 outputs at a time" in job.refused(to=f"{ADDRESS}3")[1]
    job.remove(f"{ADDRESS}1")
    await job.outlets.settled()
    job.add(f"{ADDRESS}3")
    job.remove(f"{ADDRESS}3")
    await job.outlets.settled()
    assert "had 4 outputs" in job.refused(to=f"{ADDRESS}4")[1]
    await job.outlets.close()


async def test_the_last_output_that_works_is_not_removed(tmp_path: Path, kept: type[Kept]) -> None:
    job = Job(tmp_path, {"kind": "rtmp", "to": ADDRESS})
    assert "the only output" in job.refused(destination="rtmp://host.example/live/…9930")[1]
    job.add(f"{ADDRESS}2", "second")
    assert job.remove("rtmp://host.example/live/…9930")
    assert "the only output" in job.refused(destination="second")[1]
    assert not job.outlets.all_failed
    await job.outlets.close()


async def test_a_job_has_failed_when_all_that_are_left_have(tmp_path: Path, kept: type[Kept]) -> None:
    job = Job(tmp_path, {"kind": "rtmp", "to": ADDRESS}, {"kind": "rtmp", "to": f"{ADDRESS}2"})
    job.remove("rtmp://host.example/live/…9930")
    kept.broken = "at once"
    job.play(1)
    (left,) = job.outlets._outlets
    assert left.thread.join(10)
    assert job.outlets.all_failed
    await job.outlets.close()


@pytest.mark.parametrize("required", [True, False])
async def test_a_stream_the_job_needed_and_that_failed_is_not_forgiven_by_removing_it(
    tmp_path: Path, kept: type[Kept], required: bool
) -> None:
    job = Job(tmp_path, {"kind": "mp4", "to": "/a.mp4"}, {"kind": "rtmp", "to": ADDRESS, "required": required})
    kept.broken = KEY
    job.remove("rtmp://host.example/live/…9930")
    await job.outlets.close()
    assert [(name, needed) for name, _, needed in job.outlets.failures()] == [
        ("rtmp rtmp://host.example/live/…9930", required)
    ]


async def test_sound_no_server_takes_is_refused_at_once(tmp_path: Path, kept: type[Kept]) -> None:
    job = Job(tmp_path, audio={"codec": "opus"})
    assert "set audio.codec: aac" in job.refused(to=ADDRESS)[1]
    await job.outlets.close()


async def test_what_a_platform_may_not_like_is_a_warning(tmp_path: Path, kept: type[Kept]) -> None:
    job = Job(tmp_path, video={"bitrate": "9M", "keyframe": "4s"})
    job.add(f"twitch://{KEY}")
    warnings = [event["message"] for event in job.events if event["type"] == "warning"]
    assert len(warnings) == 2 and all("twitch://…9930" in text and KEY not in text for text in warnings)
    await job.outlets.close()
