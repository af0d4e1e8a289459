"""The RTMP sink against a real nginx-rtmp: what it recorded, while and after servers misbehave."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import pytest

from egress.model.errors import DestinationError
from egress.sinks import flv
from egress.sinks.base import SinkState
from egress.sinks.destination import Patience
from egress.sinks.sender_feed import Limits
from tests.live_stage import KEY, SHOW, Finder, playing
from tests.rtmp_programme import Programme
from tests.rtmp_server import NginxRtmp, ScriptedRtmp, TlsFront, silent_server, wait_for

pytestmark = pytest.mark.beside


@dataclass(frozen=True)
class Recorded:
    """What one FLV file holds, each access unit found again in the programme by its bytes."""

    pictures: Sequence[int]
    sounds: Sequence[int]
    offsets: Sequence[Fraction]
    """By how many ms each unit's time in the file differs from its time in the programme."""


def _recorded(file: Path, show: Programme = SHOW) -> Recorded:
    known, times = {"video": Finder(), "audio": Finder()}, {"video": [], "audio": []}
    for packet in show.packets:
        data = flv.video(packet.data, key=packet.key, composition=0)[5:] if packet.stream == "video" else packet.data
        known[packet.stream].add(data, len(times[packet.stream]))
        times[packet.stream].append(show.at(packet))
    found: dict[str, list[int]] = {"video": [], "audio": []}
    offsets = []
    with av.open(str(file)) as container:
        assert sorted(stream.type for stream in container.streams) == ["audio", "video"]
        for packet in container.demux():
            if packet.dts is None or packet.time_base is None:
                continue
            kind = packet.stream.type
            number = known[kind].find(bytes(packet))
            found[kind].append(number)
            offsets.append(1000 * (packet.dts * packet.time_base - times[kind][number]))
    return Recorded(found["video"], found["audio"], offsets)


def _unbroken(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[-1] + 1))


def _file(server: NginxRtmp, key: str, which: int = -1) -> Path:
    """A recording once nginx has finished it."""
    file = wait_for(lambda: server.recordings(key), 60, "a recording")[which]
    wait_for(lambda: f"<name>{key}</name>" not in server.stat(), 60, "the end of the stream")
    return Path(file)


def test_the_recording_holds_every_unit_in_time(tmp_path: Path) -> None:
    with NginxRtmp(tmp_path / "nginx") as server, playing(tmp_path) as stage:
        live = stage.add(server.url(KEY))
        stage.play(until=lambda: live.state == "live")
        stage.play(seconds=5)
        live.end()
        assert live.thread.state is SinkState.CLOSED
        recorded = _recorded(_file(server, KEY))
        assert _unbroken(recorded.pictures) and _unbroken(recorded.sounds)
        assert recorded.pictures[0] == 0 and len(recorded.pictures) >= 145
        assert max(recorded.offsets) - min(recorded.offsets) <= 1, "rounded to a ms, sound and picture alike"
        with av.open(str(_file(server, KEY))) as container:
            assert sum(1 for _ in container.decode(video=0)) == len(recorded.pictures)
        assert live.sink.status()["dropped"] == {"video": 0, "audio": 0}
        (made,) = live.thread.artifacts
        assert abs(made.duration / 1e9 - len(recorded.pictures) / 30) < 0.5


@pytest.mark.parametrize("how", ["kill", "drop"])
def test_after_a_break_it_goes_on_soon_at_a_keyframe_and_in_time(tmp_path: Path, how: str) -> None:
    with NginxRtmp(tmp_path / "nginx") as server, playing(tmp_path) as stage:
        live = stage.add(server.url(KEY))
        stage.play(until=lambda: live.state == "live")
        stage.play(seconds=3)
        if how == "kill":
            server.kill_worker()
        else:
            server.drop(KEY)
        broken = time.monotonic()
        stage.play(until=lambda: live.state == "retrying")
        stage.play(until=lambda: live.state == "live")
        away = time.monotonic() - broken
        stage.play(seconds=3)
        live.end()
        assert live.thread.error is None
        _file(server, KEY)
        first, second = (_recorded(file) for file in server.recordings(KEY))
        assert _unbroken(first.pictures) and _unbroken(second.pictures) and _unbroken(second.sounds)
        assert second.pictures[0] % 30 == 0, "a keyframe"
        lost = second.pictures[0] - first.pictures[-1]
        # What was on its way, what came while it was away, and up to the next keyframe.
        assert 0 < lost <= (1 + away + 1) * 30, f"{lost / 30} s of pictures lost"
        for part in (first, second):
            assert max(part.offsets) - min(part.offsets) <= 1
        assert live.sink.status()["retries"] >= 1


def test_a_frozen_server_fails_while_the_good_one_misses_nothing_and_comes_back_when_it_thaws(tmp_path: Path) -> None:
    limits = Limits(handshake=1.5, stall=3)
    patience = Patience(dead=8, steady=5)
    with (
        NginxRtmp(tmp_path / "good") as good,
        NginxRtmp(tmp_path / "bad") as bad,
        silent_server() as silent,
        playing(tmp_path) as stage,
    ):
        fine = stage.add(good.url(KEY))
        frozen = stage.add(bad.url(KEY), limits=limits, patience=patience)
        mute = stage.add(f"rtmp://127.0.0.1:{silent}/live/{KEY}", limits=limits, patience=patience)
        stage.play(until=lambda: frozen.state == "live")
        stage.play(seconds=2)
        bad.freeze()
        stage.play(until=lambda: frozen.state == "failed")
        assert mute.state == "failed" and "handshake" in mute.sink.status()["last_error"]
        reasons = " ".join(event.get("reason", "") for event in frozen.events)
        assert "has taken nothing for" in reasons or "no longer takes anything" in reasons
        bad.thaw()
        stage.play(seconds=1)
        for live in (fine, frozen, mute):
            live.end()
        assert isinstance(mute.thread.error, DestinationError)
        recorded = _recorded(_file(good, KEY))
        assert _unbroken(recorded.pictures) and _unbroken(recorded.sounds)
        assert fine.sink.status()["dropped"] == {"video": 0, "audio": 0}


def test_a_publish_the_server_forbids_fails_after_three_tries_with_the_fix(tmp_path: Path) -> None:
    asked: list[dict[str, str]] = []

    def forbid(arguments: dict[str, str]) -> int:
        asked.append(arguments)
        return 403

    with NginxRtmp(tmp_path / "nginx", authorise=forbid) as server, playing(tmp_path) as stage:
        live = stage.add(server.url(KEY) + "?token=canary-query-9921")
        stage.play(until=lambda: live.state == "failed")
        assert [(a["name"], a["token"]) for a in asked] == [(KEY, "canary-query-9921")] * 3
        live.end()
        assert isinstance(live.thread.error, DestinationError)
        assert "stream key right" in live.thread.error.message
        assert live.events[-1]["blame"] == "request"
        assert server.recordings(KEY) == []


def test_a_server_that_is_down_is_found_again(tmp_path: Path) -> None:
    with NginxRtmp(tmp_path / "nginx") as server, playing(tmp_path) as stage:
        server.stop()
        live = stage.add(server.url(KEY))
        stage.play(until=lambda: live.state == "retrying")
        assert "refuses connections" in live.sink.status()["last_error"]
        server.start()
        stage.play(until=lambda: live.state == "live")
        stage.play(seconds=2)
        live.end()
        recorded = _recorded(_file(server, KEY))
        assert recorded.pictures[0] % 30 == 0 and _unbroken(recorded.pictures)


def test_over_tls_with_an_authority_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with NginxRtmp(tmp_path / "nginx") as server, TlsFront(tmp_path / "tls", server.port) as front:
        monkeypatch.setenv("SSL_CERT_FILE", str(front.ca))
        with playing(tmp_path) as stage:
            live = stage.add(front.url(KEY))
            stage.play(until=lambda: live.state == "live")
            stage.play(seconds=2)
            live.end()
            assert live.thread.error is None
            recorded = _recorded(_file(server, KEY))
            assert _unbroken(recorded.pictures) and len(recorded.pictures) >= 55


@pytest.mark.parametrize(("trusted", "name"), [(False, "localhost"), (True, "other.example")])
def test_a_certificate_that_proves_nothing_is_refused_before_anything_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, name: str
) -> None:
    with NginxRtmp(tmp_path / "nginx") as server, TlsFront(tmp_path / "tls", server.port, name) as front:
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(front.ca))
        with playing(tmp_path) as stage:
            live = stage.add(front.url(KEY))
            stage.play(until=lambda: live.state == "retrying")
            assert "certificate of localhost" in live.sink.status()["last_error"]
            live.end()
            assert isinstance(live.thread.error, DestinationError)
        assert bytes(front.heard) == b""


def test_a_server_that_takes_it_for_eight_seconds_and_then_rejects_it_for_ever_fails_within_a_minute(
    tmp_path: Path,
) -> None:
    units = sum(1 for packet in SHOW.packets if SHOW.at(packet) < 8)
    server = ScriptedRtmp(
        refuse=lambda n: "NetStream.Publish.Denied" if n else None, hang_up=lambda n: units if n == 0 else None
    )
    with NginxRtmp(tmp_path / "good") as good, server, playing(tmp_path) as stage:
        began = time.monotonic()
        fine, bad = stage.add(good.url(KEY)), stage.add(server.url(KEY))
        stage.play(until=lambda: bad.state == "live")
        live_after = time.monotonic() - began
        stage.play(until=lambda: bad.state == "retrying")
        lost_after = time.monotonic() - began
        stage.play(until=lambda: bad.state == "failed", seconds=60)
        assert "NetStream.Publish.Denied" in bad.sink.status()["last_error"]
        assert bad.events[-1]["blame"] == "destination", "it worked before"
        # Its units are sent no sooner than they are due; the tries that came after it do not count.
        assert 8 - live_after - 0.5 <= bad.sink.status()["live_seconds"] <= lost_after + 0.1
        for live in (fine, bad):
            live.end()
        recorded = _recorded(_file(good, KEY))
        assert _unbroken(recorded.pictures) and _unbroken(recorded.sounds)


def test_a_stream_added_in_the_middle_starts_near_time_0_at_a_keyframe_and_its_end_is_felt_by_nobody(
    tmp_path: Path,
) -> None:
    with NginxRtmp(tmp_path / "nginx") as server, playing(tmp_path) as stage:
        first = stage.add(server.url("first-" + KEY))
        stage.play(seconds=2.5)
        second = stage.add(server.url("second-" + KEY))
        stage.play(until=lambda: second.state == "live")
        stage.play(seconds=3)
        first.end()
        stage.lives.remove(first)
        stage.play(seconds=2)
        second.end()
        assert second.sink.status()["dropped"] == {"video": 0, "audio": 0}
        recorded = _recorded(_file(server, "second-" + KEY))
        assert recorded.pictures[0] >= 75 and recorded.pictures[0] % 30 == 0, "a keyframe"
        assert _unbroken(recorded.pictures) and _unbroken(recorded.sounds)
        assert max(recorded.offsets) - min(recorded.offsets) <= 1
        began = float(recorded.offsets[0]) + recorded.pictures[0] * 1000 / 30
        assert 0 <= began <= 60, "its time is its own"
        whole = _recorded(_file(server, "first-" + KEY))
        assert _unbroken(whole.pictures) and _unbroken(whole.sounds)
