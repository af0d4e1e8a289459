"""H.264 parameter sets and byte streams are read as the standard says."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from egress.model.errors import Fault
from egress.sinks.avc import Colour, length_prefixed, nal_units, parameters


def _header(width: int, height: int, profile: str, **options: str) -> bytes:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.flags |= 1 << 22
    encoder.options = {"profile": profile, "x264-params": ":".join(f"{k}={v}" for k, v in options.items())}
    encoder.open()
    return bytes(encoder.extradata or b"")


@pytest.mark.parametrize("size", [(320, 180), (1280, 720), (1920, 1080), (426, 240), (96, 54), (64, 3840)])
@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_size_and_codec_string_are_read_from_the_parameter_set(size: tuple[int, int], profile: str) -> None:
    header = _header(*size, profile)
    read = parameters(header)
    assert (read.width, read.height) == size
    sps = next(unit for unit in nal_units(header) if unit[0] & 31 == 7)
    assert read.codec == f"avc1.{sps[1:4].hex()}"
    assert {"baseline": 66, "main": 77, "high": 100}[profile] == sps[1]


def test_colour_is_read_from_the_vui() -> None:
    header = _header(320, 180, "high", colorprim="bt709", transfer="bt709", colormatrix="bt709", sar="1/1")
    assert parameters(header).colour == Colour(1, 1, 1, full_range=False)
    assert parameters(_header(320, 180, "high", fullrange="on", colormatrix="bt470bg")).colour == Colour(2, 2, 5, True)


def test_a_stream_without_colour_has_none() -> None:
    assert parameters(_header(320, 180, "main")).colour is None


def test_high_profile_says_its_chroma_and_depth() -> None:
    assert parameters(_header(320, 180, "high")).config[-4:] == b"\xfd\xf8\xf8\x00"
    assert parameters(_header(320, 180, "main")).config[:2] == b"\x01\x4d"


def test_byte_streams_of_both_start_codes_become_length_prefixed() -> None:
    stream = b"\0\0\0\1\x67\x42\0\0\0\1\x68\xce\0\0\1\x65ab\0\0\3\1c\0\0\0\1\x41d\0\0"
    assert nal_units(stream) == [b"\x67\x42", b"\x68\xce", b"\x65ab\0\0\3\1c", b"\x41d"]
    assert nal_units(b"") == nal_units(b"no start code") == []
    assert length_prefixed(stream) == b"\0\0\0\x08\x65ab\0\0\3\1c\0\0\0\2\x41d"


def test_a_header_without_parameter_sets_is_refused() -> None:
    with pytest.raises(Fault, match="parameter sets"):
        parameters(b"\0\0\0\1\x65abc")


def test_a_cut_parameter_set_is_refused() -> None:
    header = _header(320, 180, "high")
    sps, pps = (next(u for u in nal_units(header) if u[0] & 31 == kind) for kind in (7, 8))
    with pytest.raises(Fault, match="cut short"):
        parameters(b"\0\0\1" + sps[:6] + b"\0\0\1" + pps)
