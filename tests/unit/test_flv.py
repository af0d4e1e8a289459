"""FLV bodies are byte for byte what libavformat writes."""

from __future__ import annotations

import io
from collections import defaultdict
from fractions import Fraction

import av
import numpy as np
import pytest

from egress.model.errors import Fault
from egress.sinks import amf0, avc, flv
from egress.sinks.flv import Track
from egress.sinks.rtmp_chunks import Kind
from tests.rtmp_programme import Programme, programme

Tags = dict[int, list[bytes]]


def _track(show: Programme, kind: str) -> Track:
    info = next(info for info in show.streams if info.kind == kind)
    return Track(kind, info.extradata, info.bitrate, 320, 180, Fraction(30), info.rate, info.channels)


def _by_libavformat(b_frames: int) -> tuple[Tags, dict[str, bytes], list[bytes], list[bytes]]:
    """Tag bodies by tag type, extradata by kind; and our bodies of the same packets, pictures and sound."""
    file = io.BytesIO()
    packets: list[av.Packet] = []
    with av.open(file, "w", format="flv") as container:
        video = container.add_stream("libx264", rate=30, options={"preset": "superfast", "bf": str(b_frames)})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="stereo")
        container.start_encoding()
        for number in range(30):
            picture = av.VideoFrame.from_ndarray(np.full((270, 320), number * 8, np.uint8), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 30)
            sound = av.AudioFrame.from_ndarray(np.full((2, 1600), 0.1, np.float32), format="fltp", layout="stereo")
            sound.rate, sound.pts, sound.time_base = 48000, number * 1600, Fraction(1, 48000)
            packets += [*video.encode(picture), *audio.encode(sound)]
        packets += [*video.encode(None), *audio.encode(None)]
        extradata = {s.type: bytes(s.codec_context.extradata) for s in (video, audio)}
        ours = [flv.video(bytes(p), key=p.is_keyframe, composition=0) for p in packets if p.stream is video]
        ours_audio = [flv.audio(bytes(p)) for p in packets if p.stream is audio]
        for packet in packets:
            container.mux(packet)
    data, at = file.getvalue(), 13
    tags: dict[int, list[bytes]] = defaultdict(list)
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4])
        tags[data[at]].append(data[at + 11 : at + 11 + size])
        at += 15 + size
    return tags, extradata, ours, ours_audio


@pytest.mark.parametrize("b_frames", [0, 2])
def test_bodies_equal_those_of_libavformat(b_frames: int) -> None:
    expected, extradata, pictures, sounds = _by_libavformat(b_frames)
    assert flv.header(Track("video", extradata["video"], 1)) == (Kind.VIDEO, expected[9][0])
    assert flv.header(Track("audio", extradata["audio"], 1)) == (Kind.AUDIO, expected[8][0])
    assert len(pictures) == 30 and len(sounds) > 45
    assert sounds == expected[8][1 : 1 + len(sounds)]
    assert [b[:2] + b[5:] for b in pictures] == [b[:2] + b[5:] for b in expected[9][1 : 1 + len(pictures)]]


def test_composition_time_is_24_bits_with_a_sign() -> None:
    assert flv.video(b"\0\0\1\x65x", key=True, composition=67)[2:5] == b"\0\0\x43"
    assert flv.video(b"\0\0\1\x41x", key=False, composition=-1)[:5] == b"\x27\1\xff\xff\xff"


def test_units_are_found_behind_any_start_code_and_delimiters_are_left_out() -> None:
    data = b"\0\0\0\1\x09\x10\0\0\1\x06ab\0\0\0\1\x65\0\0\3\1cd\0\0"
    assert avc.nal_units(data) == [b"\x09\x10", b"\x06ab", b"\x65\0\0\3\1cd"]
    assert flv.video(data, key=True, composition=0)[5:] == b"\0\0\0\3\x06ab\0\0\0\7\x65\0\0\3\1cd"


def test_metadata_declares_what_there_is_and_nothing_else() -> None:
    show = programme(1)
    both = amf0.decode(flv.metadata((_track(show, "video"), _track(show, "audio"))))
    assert both[:2] == ["@setDataFrame", "onMetaData"]
    assert both[2]["width"] == 320 and both[2]["framerate"] == 30 and both[2]["stereo"] is True
    sound = amf0.decode(flv.metadata((_track(show, "audio"),)))[2]
    assert "width" not in sound and sound["audiosamplerate"] == 48000


@pytest.mark.parametrize("extradata", [b"", b"\0\0\1\x67\x64\0\x1f", b"\0\0\1\x68\xee"])
def test_missing_parameter_sets_are_an_error(extradata: bytes) -> None:
    with pytest.raises(Fault, match="parameter sets"):
        flv.header(Track("video", extradata, 1))
    with pytest.raises(Fault, match="AudioSpecificConfig"):
        flv.header(Track("audio", b"", 1))


def test_profiles_with_chroma_say_it_in_flv_as_in_files() -> None:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 180, "yuv444p", Fraction(1, 30)
    encoder.flags |= 1 << 22
    encoder.open()
    extradata = bytes(encoder.extradata or b"")
    body = flv.header(Track("video", extradata, 1))[1]
    assert body[6] == 244 and body[-4:] == b"\xff\xf8\xf8\0"
    assert body[5:] == avc.parameters(extradata).config
