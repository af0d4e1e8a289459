"""The Opus packets of one track, decoded just in time onto a tape; what is missing is concealed."""

from __future__ import annotations

import numpy as np

from egress.media.opus import STEP, OpusDecoder
from egress.media.packetqueue import PacketQueue, SoundPacket
from egress.media.samples import Samples
from egress.media.tape import Tape

RAMP = 144
"""Sound begins anew, and a cut one ends, over 3 ms: a step would click."""
PLAIN = 960
"""Concealment sounds natural for 20 ms..."""
CONCEALED = 2_880
"""...and has faded to silence after 60 ms."""
DTX_BYTES = 2
"""Packets this small say that nobody speaks; nothing may follow for a while."""


class Voice:
    """One track's packets and its tape. `put` may be called on another thread than all the rest.

    Decoding runs on the thread that pulls: 40 us a packet, far less than handing it to a thread and back would cost,
    and only here it is known which packets have arrived in time and which must be concealed.
    """

    def __init__(self, room: int) -> None:
        """`room`: how many samples may wait; when more do, the oldest packets are lost, counted."""
        self.tape = Tape()
        self.packets = 0
        self.broken = 0
        self.losses = 0
        self.starved = 0
        self.recovered = 0
        self.concealed = 0
        self.waiting = PacketQueue(room)
        self._decoder = OpusDecoder()
        self._hole = 0
        self._gain = 0.0
        self._heard = 0.0
        self._dtx = True

    def put(self, packet: SoundPacket) -> None:
        """Queue a packet."""
        self.packets += 1
        self.waiting.put(packet)

    def fill(self, until: int, reader: int) -> None:
        """Have everything before a position on the tape; what lies before `reader` was heard already."""
        tape = self.tape
        while tape.end is None or tape.end < until:
            packet = self.waiting.first(tape.end)
            if tape.end is None:
                if packet is None or packet.at >= until:
                    return
                tape.skip_to(packet.at)
            elif packet is not None and packet.at <= tape.end:
                if taken := self.waiting.take(packet):
                    self._decode(taken, tape.end, reader)
            else:
                self._bridge(packet, tape.end, until)

    def pass_over(self, until: int) -> None:
        """Let everything before a position go unheard."""
        self.waiting.pass_over(until)
        if self.tape.end is None or self.tape.end < until:
            self.tape.skip_to(until)
        self.start_softly()

    def start_softly(self) -> None:
        """The next decoded sound follows silence."""
        self._gain = 0.0

    def _decode(self, packet: SoundPacket, end: int, reader: int) -> None:
        if packet.fresh:
            self._decoder.reset()
            self.tape.fade_out(reader, RAMP)
            self._gain = 0.0
        came_late = self._hole > 0 and packet.at < end and self._gain > 0.0
        going_on = self._conceal(STEP) * np.float32(self._gain) if came_late else None
        try:
            sound = self._decoder.decode(packet.data)[:, end - packet.at :]
        except ValueError:
            self.broken += 1
            return
        self._dtx = len(packet.data) <= DTX_BYTES
        self._hole = 0
        if going_on is not None:
            self._blend(going_on, sound)
        self._append(sound)

    def _blend(self, going_on: Samples, sound: Samples) -> None:
        """Lead from the concealment, had it gone on, into the middle of a packet that came late."""
        count = min(STEP, sound.shape[1])
        rise = np.linspace(0.0, 1.0, count, dtype=np.float32)
        sound[:, :count] = sound[:, :count] * rise + going_on[:, :count] * (1.0 - rise)
        self._gain = 1.0

    def _append(self, sound: Samples) -> None:
        """Put sound on the tape, brought up softly when it follows silence or a fading concealment."""
        if self._gain < 1.0:
            count = min(RAMP, sound.shape[1])
            sound[:, :count] *= np.linspace(self._gain, 1.0, count, dtype=np.float32)
            self._gain = 1.0
        self.tape.append(sound)

    def _recover(self, packet: SoundPacket, missing: int) -> None:
        """Fill the hole before a packet from what it carries; one that is broken is of no further use."""
        try:
            sound = self._decoder.recover(packet.data, missing)
        except ValueError:
            self.broken += self.waiting.reject(packet)
            return
        self.recovered += 1
        self._append(sound)

    def _conceal(self, samples: int) -> Samples:
        try:
            return self._decoder.conceal(samples)
        except ValueError:
            self.broken += 1
            return np.zeros((1, samples), np.float32)

    def _bridge(self, packet: SoundPacket | None, end: int, until: int) -> None:
        """One step of filling a hole: towards the next packet when it is known, else as far as is needed now."""
        missing = packet.at - end if packet is not None else until - end
        if self._hole == 0:
            if packet is not None and packet.gap:
                self.losses += 1
            elif packet is None and not self._dtx:
                self.starved += 1
        repairable = packet is not None and packet.gap and missing % STEP == 0
        if packet is not None and repairable and missing <= packet.samples:
            self._recover(packet, missing)
            return
        wanted = min(missing, until - end)
        if packet is not None and repairable:
            wanted = min(wanted, missing - packet.samples)
        if self._hole >= CONCEALED:
            self._gain = 0.0
            self.tape.skip_to(end + wanted)
            return
        if self._hole == 0:
            self._heard = self._gain
        steps = min(-(-wanted // STEP) * STEP, CONCEALED - self._hole)
        sound = self._conceal(steps)
        if packet is not None:
            sound = sound[:, :missing]
        since = np.arange(self._hole + 1, self._hole + 1 + sound.shape[1], dtype=np.float32)
        fade = np.clip((CONCEALED - since) / (CONCEALED - PLAIN), 0.0, 1.0).astype(np.float32) * np.float32(self._heard)
        self._hole += steps
        self._gain = float(fade[-1])
        self.concealed += fade.size
        self.tape.append(sound * fade)
