"""The SRT sink against a real listener: what it received, while and after it misbehaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import psutil
import pytest

from egress.model.errors import DestinationError
from egress.sinks import avc
from egress.sinks.base import SinkState
from egress.sinks.destination import Patience
from tests.live_stage import KEY, SHOW, Finder, Live, playing
from tests.srt_server import SrtListener, free_udp_port

pytestmark = pytest.mark.beside

PASSPHRASE = f"pass-{KEY}"
STREAM = f"publish:{KEY}"


@dataclass(frozen=True)
class Received:
    """What a listener kept, each picture found again in the programme by its bytes; times in ms."""

    pictures: Sequence[int]
    times: Sequence[float]
    sounds: int


def _slices(data: bytes) -> bytes:
    return b"".join(unit for unit in avc.nal_units(data) if unit[0] & 0x1F in (1, 5))


def _received(file: Path) -> Received:
    known = Finder()
    for number, packet in enumerate(packet for packet in SHOW.packets if packet.stream == "video"):
        known.add(_slices(packet.data), number)
    pictures, times, sounds = [], [], 0
    with av.open(str(file), format="mpegts") as container:
        for packet in container.demux():
            if packet.dts is None or packet.time_base is None:
                continue
            if packet.stream.type == "audio":
                sounds += 1
                continue
            pictures.append(known.find(_slices(bytes(packet))))
            times.append(float(1000 * packet.dts * packet.time_base))
    return Received(pictures, times, sounds)


def _unbroken(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[-1] + 1))


def _seen(live: Live) -> str:
    """Command lines, environments and all that is said of a stream."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    senders = [p for p in processes if "ffmpeg" in p.name() and "caller" in str(p.cmdline())]
    assert senders
    shown = " ".join(str(p.cmdline()) + str(p.environ()) for p in senders)
    return shown + repr((live.events, live.sink.status()))


def test_the_listener_gets_every_picture_in_time_and_nobody_sees_the_passphrase(tmp_path: Path) -> None:
    with SrtListener(tmp_path / "srt", passphrase=PASSPHRASE) as listener, playing(tmp_path) as stage:
        live = stage.add(listener.url(passphrase=PASSPHRASE, streamid=STREAM, latency="2000"))
        stage.play(until=lambda: live.state == "live")
        stage.play(seconds=5)
        assert KEY not in _seen(live)
        status = live.sink.status()
        assert status["bitrate"] > 100_000 and status["live_seconds"] > 3
        live.end()
        assert live.thread.state is SinkState.CLOSED
        listener.ended()
        received = _received(listener.files[0])
        assert received.pictures[0] == 0 and _unbroken(received.pictures) and len(received.pictures) >= 145
        assert received.sounds >= 230
        assert max(abs(t - received.times[0] - n * 1000 / 30) for n, t in enumerate(received.times)) <= 1
        (made,) = live.thread.artifacts
        assert made.kind == "srt" and made.location.endswith("streamid=…&passphrase=…")
        with av.open(str(listener.files[0]), format="mpegts") as container:
            assert sum(1 for _ in container.decode(video=0)) == len(received.pictures)


def test_a_listener_that_is_killed_is_called_again_and_goes_on_at_a_keyframe(tmp_path: Path) -> None:
    with SrtListener(tmp_path / "srt") as listener, playing(tmp_path) as stage:
        live = stage.add(listener.url())
        stage.play(until=lambda: live.state == "live")
        stage.play(seconds=2)
        listener.stop()
        listener.start()
        stage.play(until=lambda: live.state == "retrying")
        stage.play(until=lambda: live.state == "live")
        stage.play(seconds=3)
        live.end()
        assert live.thread.error is None
        listener.ended()
        first, second = (_received(file) for file in listener.files)
        assert second.pictures[0] % 30 == 0 and _unbroken(second.pictures)
        gap = second.times[0] - first.times[0]
        assert abs(gap - second.pictures[0] * 1000 / 30) <= 1, "on the same time as before"
        assert live.sink.status()["retries"] >= 1


def test_a_frozen_listener_fails_while_the_good_one_misses_nothing(tmp_path: Path) -> None:
    patience = Patience(dead=8, steady=5)
    with (
        SrtListener(tmp_path / "good") as good,
        SrtListener(tmp_path / "bad") as bad,
        playing(tmp_path) as stage,
    ):
        fine = stage.add(good.url())
        frozen = stage.add(bad.url(), patience=patience)
        nobody = stage.add(f"srt://127.0.0.1:{free_udp_port()}", patience=patience)
        stage.play(until=lambda: frozen.state == fine.state == "live")
        stage.play(seconds=2)
        bad.freeze()
        stage.play(until=lambda: frozen.state == "failed", seconds=90)
        assert nobody.state == "failed" and "no SRT listener answers" in nobody.sink.status()["last_error"]
        for live in (fine, frozen, nobody):
            live.end()
        assert isinstance(nobody.thread.error, DestinationError)
        bad.thaw()
        good.ended()
        received = _received(good.files[0])
        assert _unbroken(received.pictures)
        assert fine.sink.status()["dropped"] == {"video": 0, "audio": 0}


@pytest.mark.parametrize("wrong", ["wrong-passphrase", None])
def test_a_wrong_passphrase_is_told_from_a_listener_that_is_not_there(tmp_path: Path, wrong: str | None) -> None:
    with (
        SrtListener(tmp_path / "srt", passphrase=PASSPHRASE, enforced_encryption="1") as listener,
        playing(tmp_path) as stage,
    ):
        live = stage.add(listener.url(passphrase=wrong) if wrong else listener.url())
        stage.play(until=lambda: live.state in ("retrying", "failed"))
        assert "refuses the stream" in live.sink.status()["last_error"]
        assert live.events[-1]["blame"] == "request"
        assert not listener.received
