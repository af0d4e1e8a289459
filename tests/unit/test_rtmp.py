"""The RTMP sink and its sender process against a scripted server: what arrives, and what happens when it breaks."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from egress.model.errors import Blame, DestinationError, RequestError
from egress.model.media import Codec, Packet, StreamInfo
from egress.model.outputs import RtmpDoc
from egress.sinks import live
from egress.sinks.backoff import Backoff
from egress.sinks.base import SinkContext
from egress.sinks.destination import Patience
from egress.sinks.rtmp import RtmpSink
from egress.sinks.rtmp_chunks import Kind
from egress.sinks.sender_feed import Limits
from tests.rtmp_programme import Programme, programme
from tests.rtmp_server import ScriptedRtmp, refusing_port, silent_server, wait_for

KEY = "canary-7f3e9a-4471"
PATIENT, IMPATIENT = Limits(), Limits(connect=0.8, handshake=0.6)


class Bench:
    """A sink driven by hand: packets are written as often as the test likes, time is real."""

    def __init__(self, folder: Path, url: str, show: Programme, limits: Limits, patience: Patience) -> None:
        self.events: list[dict[str, Any]] = []
        context = SinkContext("job", "room", "title", datetime.now(UTC), folder, url, self.events.append)
        self.sink = RtmpSink(
            RtmpDoc(kind="rtmp", to=url), context, limits=limits, patience=patience, backoff=Backoff(0.3, 0.3)
        )
        self.show = show
        self._packets = iter(show.packets)
        self._lap = 0

    def write(self, count: int) -> list[Packet]:
        written = []
        for _ in range(count):
            try:
                packet = next(self._packets)
            except StopIteration:
                # The same pictures again, later: keyframes come round for as long as a test needs them.
                self._lap += 1
                self._packets = iter([_later(self.show, p, self._lap) for p in self.show.packets])
                packet = next(self._packets)
            self.sink.write(packet)
            written.append(packet)
        return written

    def until(self, state: str, seconds: float = 60) -> dict[str, Any]:
        """Write at about live pace until the sink is in a state; returns the status."""
        end = time.monotonic() + seconds
        while self.sink.status()["state"] != state:
            assert time.monotonic() < end, (state, self.sink.status(), self.events)
            self.write(1)
            time.sleep(0.01)
        return dict(self.sink.status())

    def states(self) -> list[str]:
        """The announced states without repetitions."""
        states = [event["state"] for event in self.events]
        return [state for n, state in enumerate(states) if n == 0 or states[n - 1] != state]


def _later(show: Programme, packet: Packet, laps: int) -> Packet:
    base = next(info.time_base for info in show.streams if info.id == packet.stream)
    seconds = max(show.at(p) for p in show.packets)
    shift = int(laps * (int(seconds) + 1) / base)
    return replace(packet, pts=packet.pts + shift, dts=packet.dts + shift)


@contextmanager
def _bench(
    folder: Path,
    url: str,
    show: Programme | None = None,
    *,
    limits: Limits = PATIENT,
    patience: Patience | None = None,
) -> Iterator[Bench]:
    bench = Bench(folder, url, show or programme(2), limits, patience or Patience())
    bench.sink.open(bench.show.streams)
    try:
        yield bench
    finally:
        bench.sink.abort()


def test_every_access_unit_arrives_once_with_its_exact_time(tmp_path: Path) -> None:
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY)) as bench:
        bench.until("live")
        while not bench.sink.status()["bytes"]:
            bench.write(1)
            time.sleep(0.01)
        (made,) = bench.sink.close()
        visit = server.visits[0]
        wait_for(lambda: visit.ended_well, 60, "deleteStream")
        assert (visit.key, visit.tc_url) == (KEY, f"rtmp://127.0.0.1:{server.port}/live")
        pictures, sounds = visit.media(Kind.VIDEO), visit.media(Kind.AUDIO)
        assert len(pictures) > 2 and len(sounds) > 2
        first = pictures[0].timestamp
        assert first == 22, "AAC priming of 1024 samples begins above zero"
        assert [m.timestamp - first for m in pictures] == [round(n * 1000 / 30) for n in range(len(pictures))]
        begin = min(n for n in range(-1, 500) if round(n * 1024 / 48) == sounds[0].timestamp - first)
        assert [m.timestamp - first for m in sounds] == [round((begin + n) * 1024 / 48) for n in range(len(sounds))]
        assert [m.kind for m in visit.messages[:3]] == [Kind.DATA, Kind.VIDEO, Kind.AUDIO]
        assert [m.payload[1] for m in visit.messages[1:3]] == [0, 0], "sequence headers first"
        assert made.location == f"rtmp://127.0.0.1:{server.port}/live/…4471"
        assert made.size > 0 and made.duration > 0
        assert bench.states() == ["connecting", "live", "ended"]


@pytest.mark.parametrize(("kind", "gone"), [("audio", Kind.VIDEO), ("video", Kind.AUDIO)])
def test_a_programme_of_one_kind_is_sent_alone(tmp_path: Path, kind: str, gone: Kind) -> None:
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY), programme(2).only(kind)) as bench:
        bench.until("live")
        bench.write(5)
        bench.sink.close()
        kinds = {message.kind for message in server.visits[0].messages}
        assert gone not in kinds and len(kinds) == 2


def test_b_frames_keep_their_order_and_composition(tmp_path: Path) -> None:
    show = programme(2, b_frames=2)
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY), show) as bench:
        bench.until("live")
        bench.write(60)
        bench.sink.close()
        pictures = server.visits[0].media(Kind.VIDEO)
        shown = sorted(m.timestamp + int.from_bytes(m.payload[2:5]) for m in pictures[:-3])
        assert {b - a for a, b in pairwise(shown)} <= {33, 34}
        assert min(m.timestamp for m in server.visits[0].messages) >= 0


def test_after_a_break_it_goes_on_at_a_keyframe_with_headers_and_the_same_time(tmp_path: Path) -> None:
    with (
        ScriptedRtmp(hang_up=lambda n: 30 if n == 0 else None) as server,
        _bench(tmp_path, server.url(KEY)) as bench,
    ):
        bench.until("live")
        bench.until("retrying")
        bench.until("live")
        wait_for(lambda: bench.write(1) and len(server.visits[-1].messages) > 20, 60, "media after the break")
        bench.sink.close()
        first, second = server.visits
        assert [m.kind for m in second.messages[:3]] == [Kind.DATA, Kind.VIDEO, Kind.AUDIO]
        assert second.messages[0].timestamp == 0
        again = second.media(Kind.VIDEO)[0]
        assert again.payload[0] == 0x17, "a keyframe"
        assert again.timestamp > first.messages[-1].timestamp
        picture = round((again.timestamp - 22) * 30 / 1000)
        assert again.timestamp - 22 == round(picture * 1000 / 30), "on the same time as before the break"
        assert picture % 30 == 0
        sound = second.media(Kind.AUDIO)[0]
        assert abs(sound.timestamp - again.timestamp) <= 60
        assert bench.sink.status()["retries"] == 1


def test_a_refused_key_fails_after_three_tries_with_the_reason_and_without_the_key(tmp_path: Path) -> None:
    with (
        ScriptedRtmp(refuse=lambda _: "NetStream.Publish.BadName") as server,
        _bench(tmp_path, server.url(KEY)) as bench,
    ):
        status = bench.until("failed")
        assert len(server.visits) == 3 and status["retries"] == 3
        assert "NetStream.Publish.BadName" in status["last_error"]
        assert bench.events[-1]["blame"] == "request"
        assert KEY not in str(bench.events) and KEY not in str(status), "the server's words name the key"
        with pytest.raises(DestinationError, match="BadName"):
            bench.sink.close()


def test_a_destination_that_failed_is_tried_on_and_may_come_back(tmp_path: Path) -> None:
    with (
        ScriptedRtmp(refuse=lambda n: "NetStream.Publish.Denied" if n < 3 else None) as server,
        _bench(tmp_path, server.url(KEY), patience=Patience(steady=0.5)) as bench,
    ):
        bench.until("failed")
        bench.until("live")
        bench.sink.close()
        assert len(server.visits) == 4
        assert bench.states()[-2:] == ["live", "ended"]


def test_a_server_that_says_nothing_fails_in_time_while_writes_go_on(tmp_path: Path) -> None:
    with (
        silent_server() as port,
        _bench(tmp_path, f"rtmp://127.0.0.1:{port}/live/{KEY}", limits=IMPATIENT, patience=Patience(dead=1.5)) as bench,
    ):
        status = bench.until("failed")
        assert "no answer to the RTMP handshake" in status["last_error"]
        assert sum(status["dropped"].values()) + len(bench.sink._backlog) > 20
        with pytest.raises(DestinationError, match="handshake"):
            bench.sink.close()


def test_a_port_that_refuses_is_named(tmp_path: Path) -> None:
    with refusing_port() as port, _bench(tmp_path, f"rtmp://127.0.0.1:{port}/live/{KEY}") as bench:
        status = bench.until("retrying")
        assert status["last_error"] == f"127.0.0.1:{port} refuses connections"
        assert bench.events[-1]["blame"] == "destination"


def test_a_name_that_is_not_known_is_the_requests_fault(tmp_path: Path) -> None:
    with _bench(tmp_path, f"rtmp://nowhere.invalid/live/{KEY}") as bench:
        status = bench.until("retrying")
        assert "nowhere.invalid is not known" in status["last_error"]
        assert bench.events[-1]["blame"] == "request"


def test_tls_with_a_server_that_has_none_is_named(tmp_path: Path) -> None:
    with (
        ScriptedRtmp() as server,
        _bench(tmp_path, server.url(KEY).replace("rtmp:", "rtmps:"), limits=IMPATIENT) as bench,
    ):
        status = bench.until("retrying")
        assert (
            "TLS" in status["last_error"]
            or "hung up while connecting" in status["last_error"]
            or ("no connection" in status["last_error"])
        )
        assert all(not visit.key for visit in server.visits)


def test_a_sender_that_hangs_is_killed_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY)) as bench:
        pid = bench.until("live")["pid"]
        os.kill(pid, signal.SIGSTOP)
        with monkeypatch.context() as short:
            short.setattr(live, "_HUNG", 0.5)
            status = bench.until("retrying")
        assert "hung" in status["last_error"]
        assert bench.events[-1]["blame"] == Blame.US
        assert not Path(f"/proc/{pid}").exists()
        assert bench.until("live")["pid"] != pid


def test_a_sender_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY)) as bench:
        os.kill(bench.until("live")["pid"], signal.SIGKILL)
        assert "died" in bench.until("retrying")["last_error"]
        bench.until("live")
        assert len(server.visits) == 2


def test_a_sender_whose_sink_is_gone_ends_the_stream_and_itself(tmp_path: Path) -> None:
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY)) as bench:
        pid = bench.until("live")["pid"]
        bench.write(20)
        child = bench.sink._child
        assert child is not None
        child._stdin.close()
        wait_for(lambda: server.visits[0].ended_well, 60, "a stream ended in good order")
        wait_for(lambda: child.ended, 60, "the sender's end")
        assert child.pid == pid


def test_the_key_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY) + "?token=canary-query-9921") as bench:
        pid = bench.until("live")["pid"]
        shown = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        shown += repr((bench.events, bench.sink.status())).encode()
        assert b"egress.sinks.sender" in shown
        shown += repr(bench.sink.close()).encode()
        shown += b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"canary" not in shown
        assert server.visits[0].key == KEY + "?token=canary-query-9921"


def test_other_secrets_of_the_worker_are_not_handed_to_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-aws")
    with ScriptedRtmp() as server, _bench(tmp_path, server.url(KEY)) as bench:
        assert b"canary" not in Path(f"/proc/{bench.until('live')['pid']}/environ").read_bytes()


def _opus() -> Sequence[StreamInfo]:
    return (StreamInfo("a", "audio", Codec.OPUS, Fraction(1, 48000), b"", 1, rate=48000, channels=2),)


@pytest.mark.parametrize(
    ("url", "streams", "words"),
    [
        ("rtmp://host/live", programme(2).streams, "no stream key"),
        ("http://host/live/canary", programme(2).streams, "scheme"),
        ("rtmp://host/live/canary", (), "neither"),
        ("rtmp://host/live/canary", _opus(), "set audio.codec to aac"),
        ("rtmp://host/live/canary", programme(2).streams[:1] * 2, "several"),
        ("rtmp://host/live/canary", (replace(programme(2).streams[0], extradata=b""),), "global header"),
    ],
)
def test_what_can_never_work_is_refused_at_once(
    tmp_path: Path, url: str, streams: Sequence[StreamInfo], words: str
) -> None:
    bench = Bench(tmp_path, url, programme(2), Limits(), Patience())
    with pytest.raises(RequestError, match=words):
        bench.sink.open(streams)
    assert bench.events[-1]["state"] == "failed" and bench.events[-1]["blame"] == "request"
    assert bench.sink.abort() == ()
    assert "canary" not in str(bench.events)


def test_a_job_that_ends_before_the_server_answered_says_so(tmp_path: Path) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(silent_server())
        limits = IMPATIENT
        bench = stack.enter_context(_bench(tmp_path, f"rtmp://127.0.0.1:{port}/live/{KEY}", limits=limits))
        bench.write(10)
        with pytest.raises(DestinationError, match="handshake"):
            bench.sink.close()
        assert bench.states() == ["connecting", "retrying", "failed"]
