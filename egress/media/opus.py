"""Opus decoding by libopus itself: libavcodec can neither conceal a loss nor use in-band FEC."""

from __future__ import annotations

import ctypes
import ctypes.util
import weakref
from collections import deque
from functools import cache
from pathlib import Path

import av
import numpy as np

from egress.media.samples import Samples
from egress.model.errors import Fault

RATE = 48_000
LONGEST = 5_760
"""Samples of the longest Opus packet, 120 ms."""
STEP = 120
"""Concealment comes in multiples of 2.5 ms."""
LOOKAHEAD = 312
"""What an Opus encoder delays sound by (6.5 ms): decoded sample k was captured as sample k - 312."""


_RESET_STATE = 4028
_STEREO = 0x04
"""The bit of a packet's first byte that says that it holds two channels (RFC 6716 3.1)."""
_MEMORY = 10
"""Packets from which a decoder knows all that a next one may refer to: each halves at least what it has wrong."""


@cache
def library() -> ctypes.PyDLL:
    """libopus, the one PyAV ships or is linked to before the system's; raises Fault when there is none."""
    for path in _candidates():
        try:
            # Without letting other threads run meanwhile: a packet takes 30 us, and to get back in line often more.
            opus = ctypes.PyDLL(path)
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
    """One track's decoder: 48 kHz float32 (channels, n), valid until the next call. One thread at a time.

    It has one channel until the first packet that holds two, and two from then on: microphones send one, which is
    decoded for three quarters of what two cost, and half of all that follows.
    """

    def __init__(self) -> None:
        self._opus = library()
        self._heard: deque[bytes] = deque(maxlen=_MEMORY)
        self._become(1)

    def decode(self, packet: bytes) -> Samples:
        """The sound of one packet; raises ValueError when it is broken."""
        self._hold(packet)
        sound = self._run(packet, LONGEST, fec=False)
        self._heard.append(packet)
        return sound

    def conceal(self, samples: int) -> Samples:
        """Sound like what was heard last, for a loss of `samples`, a multiple of STEP."""
        return self._run(None, samples, fec=False)

    def recover(self, following: bytes, samples: int) -> Samples:
        """The `samples` lost just before a packet, from the copy it may carry (FEC), else concealed."""
        self._hold(following)
        return self._run(following, samples, fec=True)

    def reset(self) -> None:
        """Forget what was heard."""
        self._heard.clear()
        self._opus.opus_decoder_ctl(ctypes.c_void_p(self._state), _RESET_STATE)

    def _hold(self, packet: bytes) -> None:
        """Have both channels when a packet does; a new decoder then hears once more what was heard, lest it click."""
        if self.channels == 1 and packet and packet[0] & _STEREO:
            self._free()
            self._become(2)
            for heard in self._heard:
                self._run(heard, LONGEST, fec=False)

    def _become(self, channels: int) -> None:
        error = ctypes.c_int()
        state = self._opus.opus_decoder_create(RATE, channels, ctypes.byref(error))
        if not state:
            raise Fault(f"libopus made no decoder (error {error.value})")
        self.channels, self._state = channels, state
        self._free = weakref.finalize(self, self._opus.opus_decoder_destroy, state)
        self._buffer = np.empty((LONGEST, channels), np.float32)
        self._address = self._buffer.ctypes.data

    def _run(self, packet: bytes | None, samples: int, *, fec: bool) -> Samples:
        length = len(packet) if packet is not None else 0
        count = self._opus.opus_decode_float(self._state, packet, length, self._address, samples, int(fec))
        if count < 0:
            raise ValueError(f"libopus error {count}")
        return self._buffer[:count].T
