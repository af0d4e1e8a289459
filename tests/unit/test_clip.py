from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from egress.demo import barcode, clip
from egress.demo.people import MOST, people, person
from egress.demo.picture import planes
from egress.model.media import Codec, Size
from tests.listening import beeps

SMALL = Size(192, 108)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EGRESS_CLIPS", str(tmp_path / "clips"))
    return tmp_path / "clips"


def _counters(codec: Codec, frames: list[bytes]) -> list[int | None]:
    decoder = av.CodecContext.create("vp8" if codec is Codec.VP8 else "h264", "r")
    read = []
    for data in frames:
        for frame in decoder.decode(av.Packet(data)):
            reading = barcode.read(planes(frame)[0])
            read.append(reading.counter if reading else None)
    return read


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_loop_decodes_seamlessly_over_its_end(codec: Codec) -> None:
    loop = clip.video(person(1), SMALL, 10, codec)
    assert len(loop.frames) == 100 and sorted(loop.keys) == list(range(0, 100, 10))
    assert _counters(codec, [*loop.frames, *loop.frames[:12]]) == [*range(100), *range(12)]


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_loop_can_be_entered_by_a_live_keyframe_and_goes_on_at_its_next_own(codec: Codec) -> None:
    loop = clip.video(person(2), SMALL, 10, codec)
    live = loop.encoder()
    first, key = live.encode(13, key=True)
    assert key
    rest = [live.encode(index, key=False)[0] for index in range(14, 20)]
    assert _counters(codec, [first, *rest, *loop.frames[20:25]]) == list(range(13, 25))


def test_second_time_the_loop_comes_from_the_cache(cache: Path) -> None:
    first = clip.video(person(0), SMALL, 10, Codec.VP8)
    (stored,) = cache.iterdir()
    before = stored.stat().st_mtime_ns
    assert clip.video(person(0), SMALL, 10, Codec.VP8) == first
    assert stored.stat().st_mtime_ns == before


def test_damaged_cache_is_made_anew(cache: Path) -> None:
    first = clip.video(person(0), SMALL, 10, Codec.VP8)
    (stored,) = cache.iterdir()
    stored.write_bytes(stored.read_bytes()[:-10])
    assert clip.video(person(0), SMALL, 10, Codec.VP8) == first
    stored.write_bytes(b"nonsense")
    assert clip.video(person(0), SMALL, 10, Codec.VP8) == first


def test_unwritable_cache_does_no_harm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EGRESS_CLIPS", str(tmp_path / "file" / "below"))
    assert len(clip.audio(person(0))) == 500


@pytest.mark.parametrize("who", [0, 1])
def test_decoded_beeps_lie_on_whole_seconds_but_for_the_encoders_look_ahead(who: int) -> None:
    packets = clip.audio(person(who))
    assert len(packets) == 500
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate = 48_000
    decoded = []
    for data in (*packets, *packets[:75]):
        decoded += [frame.to_ndarray() for frame in decoder.decode(av.Packet(data))]
    mono = (np.concatenate(decoded, axis=1)[0, ::2] / 32768).astype(np.float32)
    mono = mono[clip.LOOKAHEAD :]
    found = [beep for beep in beeps(mono, 48_000, person(who).tone) if beep.at > 0.5]
    assert [round(beep.at) for beep in found] == list(range(1, 12))
    assert max(abs(beep.at - round(beep.at)) for beep in found) < 0.001
    assert all(abs(beep.length - 0.1) < 0.003 and abs(beep.level - clip.BEEP_LEVEL) < 0.004 for beep in found)


def test_odd_size_is_refused_for_h264_and_encoded_as_vp8() -> None:
    with pytest.raises(ValueError, match="427x241 cannot be"):
        clip.video(person(0), Size(427, 241), 10, Codec.H264)
    assert len(clip.video(person(0), Size(427, 241), 2, Codec.VP8).frames) == 20


def test_everyone_is_told_apart() -> None:
    everyone = people(MOST)
    assert len({one.id for one in everyone}) == MOST
    assert len({one.tone for one in everyone}) == MOST
    assert len({one.colour for one in everyone}) == MOST
    assert [one.role for one in everyone[:3]] == ["host", "guest", "guest"]
    tones = sorted(one.tone for one in everyone)
    assert min(b - a for a, b in pairwise(tones)) >= 90
    with pytest.raises(ValueError, match="there are 64"):
        person(MOST)
