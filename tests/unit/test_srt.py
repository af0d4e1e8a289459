"""The SRT sink and its ffmpeg: what is refused, what is seen of secrets, what its stream is made of."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from egress import programs
from egress.model.errors import RequestError
from egress.model.media import Codec, StreamInfo
from egress.model.outputs import SrtDoc
from egress.model.pipeline import Pipeline
from egress.model.srt_address import SrtAddress
from egress.sinks.base import SinkContext
from egress.sinks.rtmp_protocol import Trouble
from egress.sinks.srt import SrtSink
from egress.sinks.srt_process import SrtProcess
from egress.sinks.stamps import Stamper
from egress.sinks.transport import TransportStream
from tests.rtmp_programme import programme
from tests.rtmp_server import wait_for
from tests.srt_server import free_udp_port

KEY = "canary-7f3e9a-4471"
OPUS = StreamInfo("a", "audio", Codec.OPUS, Fraction(1, 48000), b"", 1, rate=48000, channels=2)


def _sink(folder: Path, to: str, events: list[dict[str, Any]], **options: str) -> SrtSink:
    context = SinkContext("job", "room", "title", datetime.now(UTC), folder, to, events.append, options=options)
    return SrtSink(SrtDoc(kind="srt", to=to), context)


def test_the_transport_stream_holds_every_unit_in_time() -> None:
    show = programme(2, b_frames=2)
    stamper, stream = Stamper(show.streams), TransportStream(show.streams)
    shift = stamper.shift(-67)
    made = b""
    for packet in show.packets:
        unit = stamper.stamp(packet)
        more = stream.write(unit, unit.at + shift)
        assert len(more) % 188 == 0
        made += more
    early = len(made)
    made += stream.close()
    assert len(made) - early < 20_000, "nothing is held back but the last units"
    with av.open(io.BytesIO(made), format="mpegts") as container:
        found = [packet for packet in container.demux() if packet.dts is not None]
        pictures = [p for p in found if p.stream.type == "video"]
        assert len(pictures) == sum(p.stream == "video" for p in show.packets)
        assert len(found) - len(pictures) == sum(p.stream == "audio" for p in show.packets)
        times = sorted(float(p.pts * p.time_base) for p in pictures)
        assert max(abs(t - times[0] - n / 30) for n, t in enumerate(times)) < 0.0011


@pytest.mark.parametrize(
    ("to", "streams", "ffmpeg", "says"),
    [
        ("srt://host:9000?mode=listener", programme(2).streams, "", "another mode"),
        (f"srt://host:9000?passphrase={KEY}", (), "", "neither"),
        (f"srt://host:9000?passphrase={KEY}", (OPUS,), "", "set audio.codec to aac"),
        (f"srt://host:9000?passphrase={KEY}", programme(2).streams, "/bin/true", "/bin/true was built without SRT"),
    ],
)
def test_what_can_never_work_is_refused_at_once(
    tmp_path: Path, to: str, streams: tuple[StreamInfo, ...], ffmpeg: str, says: str
) -> None:
    events: list[dict[str, Any]] = []
    sink = _sink(tmp_path, to, events, ffmpeg=ffmpeg)
    with pytest.raises(RequestError, match=says):
        sink.open(streams)
    assert (events[-1]["state"], events[-1]["blame"]) == ("failed", "request")
    assert KEY not in str(events)


def test_an_ffmpeg_that_cannot_is_refused_before_a_job_begins() -> None:
    pipeline = Pipeline.model_validate({"name": "p", "sinks": [{"kind": "srt", "to": "srt://host:9000"}]})
    with pytest.raises(RequestError) as caught:
        programs.check_ffmpeg(pipeline, "/bin/true")
    assert caught.value.problems[0][0] == "sinks[0].kind" and "without SRT" in caught.value.message
    assert programs.check_ffmpeg(pipeline, "ffmpeg").endswith("/ffmpeg")


def test_ffmpeg_is_told_secrets_where_nobody_reads_them_and_says_when_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{KEY}-aws")
    monkeypatch.setattr("egress.sinks.srt_process._CONNECT", 0.5)
    address = SrtAddress.parse(f"srt://127.0.0.1:{free_udp_port()}?passphrase={KEY}&streamid={KEY}-id&latency=250")
    child = SrtProcess(programs.find("ffmpeg") or "", address)
    try:
        wait_for(lambda: b"fpre" in Path(f"/proc/{child.pid}/cmdline").read_bytes(), 60, "ffmpeg")
        seen = b"".join(Path(f"/proc/{child.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        assert KEY.encode() not in seen and b"latency=250000" in seen
        wait_for(lambda: child.ended, 60, "the end of ffmpeg")
        assert child.reports() == []
        assert child.death() == (Trouble.TIMEOUT, f"no SRT listener answers at {address.place}")
        assert KEY not in child.last_words
    finally:
        child.kill()
