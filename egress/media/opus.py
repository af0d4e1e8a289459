"""Opus decoding by libopus itself: libavcodec can neither conceal a loss nor use in-band FEC."""

from __future__ import annotations

import ctypes
import ctypes.util
import weakref
from functools import cache
from pathlib import Path

import av
import numpy as np

from egress.media.samples import Samples
from egress.model.errors import Fault

RATE = 48_000
CHANNELS = 2
LONGEST = 5_760
"""Samples of the longest Opus packet, 120 ms."""
STEP = 120
"""Concealment comes in multiples of 2.5 ms."""
LOOKAHEAD = 312
"""What an Opus encoder delays sound by (6.5 ms): decoded sample k was captured as sample k - 312."""


_RESET_STATE = 4028


@cache
def library() -> ctypes.CDLL:
    """libopus, the one PyAV ships or is linked to before the system's; raises Fault when there is none."""
    for path in _candidates():
        try:
            opus = ctypes.CDLL(path)
        except OSError:
            continue
        opus.opus_decoder_create.restype = ctypes.c_void_p
        opus.opus_decoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
        opus.opus_decoder_destroy.restype = None
        opus.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
        opus.opus_decode_float.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int32,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_int,
        ]
        opus.opus_packet_get_nb_samples.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
        return opus
    raise Fault("libopus is missing: install PyAV from its wheel, or the package libopus0")


def _candidates() -> list[str]:
    package = Path(av.__file__).parent
    bundled = [*package.parent.glob("av.libs/libopus*"), *package.glob(".dylibs/libopus*")]
    maps = Path("/proc/self/maps")
    loaded = maps.read_text().split() if maps.exists() else []
    linked = sorted({word for word in loaded if "/libopus." in word})
    system = ctypes.util.find_library("opus")
    return [*map(str, bundled), *linked, *([system] if system else [])]


def duration(packet: bytes) -> int:
    """How many samples a packet lasts (120 to 5760); 0 when it is no Opus packet."""
    samples: int = library().opus_packet_get_nb_samples(packet, len(packet), RATE) if packet else 0
    return samples if 0 < samples <= LONGEST else 0


class OpusDecoder:
    """One track's decoder: 48 kHz stereo float32 (2, n), mono heard on both sides. One thread at a time."""

    def __init__(self) -> None:
        self._opus = library()
        error = ctypes.c_int()
        self._state = self._opus.opus_decoder_create(RATE, CHANNELS, ctypes.byref(error))
        if not self._state:
            raise Fault(f"libopus made no decoder (error {error.value})")
        weakref.finalize(self, self._opus.opus_decoder_destroy, self._state)
        self._buffer = np.empty((LONGEST, CHANNELS), np.float32)
        self._address = self._buffer.ctypes.data

    def decode(self, packet: bytes) -> Samples:
        """The sound of one packet; raises ValueError when it is broken."""
        return self._run(packet, LONGEST, fec=False)

    def conceal(self, samples: int) -> Samples:
        """Sound like what was heard last, for a loss of `samples`, a multiple of STEP."""
        return self._run(None, samples, fec=False)

    def recover(self, following: bytes, samples: int) -> Samples:
        """The `samples` lost just before a packet, from the copy it may carry (FEC), else concealed."""
        return self._run(following, samples, fec=True)

    def reset(self) -> None:
        """Forget what was heard."""
        self._opus.opus_decoder_ctl(ctypes.c_void_p(self._state), _RESET_STATE)

    def _run(self, packet: bytes | None, samples: int, *, fec: bool) -> Samples:
        length = len(packet) if packet is not None else 0
        count = self._opus.opus_decode_float(self._state, packet, length, self._address, samples, int(fec))
        if count < 0:
            raise ValueError(f"libopus error {count}")
        return np.ascontiguousarray(self._buffer[:count].T)
