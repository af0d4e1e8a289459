"""FLV tag bodies as RTMP carries them: what a stream is, and each access unit (Adobe FLV 10.1, annex E)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from egress.model.errors import Fault
from egress.sinks import amf0, avc
from egress.sinks.rtmp_chunks import Kind

_KEY, _INTER = 0x17, 0x27
_AAC = 0xAF
"""Format 10 (AAC), 44 kHz, 16 bit, stereo: what FLV prescribes for AAC, whatever it really is."""
_HEADER, _UNIT = 0, 1
_DELIMITER = 9


@dataclass(frozen=True, slots=True)
class Track:
    """One stream of the programme in plain values: H.264 (Annex B `extradata`) or AAC (AudioSpecificConfig)."""

    kind: str
    extradata: bytes
    bitrate: int
    width: int = 0
    height: int = 0
    fps: Fraction = Fraction(0)
    rate: int = 0
    channels: int = 0


def metadata(tracks: tuple[Track, ...]) -> bytes:
    """The onMetaData message that declares exactly the tracks there are."""
    about = amf0.EcmaArray()
    for track in tracks:
        if track.kind == "video":
            about |= {
                "width": track.width,
                "height": track.height,
                "framerate": float(track.fps),
                "videocodecid": 7,
                "videodatarate": track.bitrate / 1000,
            }
        else:
            about |= {
                "audiocodecid": 10,
                "audiodatarate": track.bitrate / 1000,
                "audiosamplerate": track.rate,
                "audiosamplesize": 16,
                "stereo": track.channels == 2,
            }
    about["encoder"] = "Egress"
    return amf0.encode("@setDataFrame", "onMetaData", about)


def header(track: Track) -> tuple[Kind, bytes]:
    """The sequence header of a track; raises Fault when its extradata is not what it should be."""
    if track.kind == "video":
        return Kind.VIDEO, bytes((_KEY, _HEADER, 0, 0, 0)) + avc.parameters(track.extradata).config
    if len(track.extradata) < 2:
        raise Fault("the AAC stream has no AudioSpecificConfig")
    return Kind.AUDIO, bytes((_AAC, _HEADER)) + track.extradata


def video(data: bytes, *, key: bool, composition: int) -> bytes:
    """One H.264 access unit (Annex B) as a tag body; `composition` is presentation minus decoding time in ms."""
    out = bytearray((_KEY if key else _INTER, _UNIT))
    out += (composition & 0xFFFFFF).to_bytes(3)
    for unit in avc.nal_units(data):
        if unit[0] & 0x1F != _DELIMITER:
            out += struct.pack(">I", len(unit))
            out += unit
    return bytes(out)


def audio(data: bytes) -> bytes:
    """One raw AAC frame as a tag body."""
    return bytes((_AAC, _UNIT)) + data
