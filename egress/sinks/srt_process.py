"""An ffmpeg that sends a transport stream over SRT, as its sink sees it."""

from __future__ import annotations

import os
import time
from urllib.parse import urlencode

import ffmpeg

from egress.model.srt_address import SrtAddress
from egress.sinks.child import Child, Report, environment
from egress.sinks.rtmp_protocol import Trouble

PAYLOAD = 1316
"""Bytes of one SRT packet: seven transport packets, which every receiver of MPEG-TS over SRT expects."""

STUFFING = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * (PAYLOAD // 188)
"""One payload of null packets (ISO/IEC 13818-1 2.4.3.3): receivers throw them away."""

_CONNECT = 3.0
"""Seconds a listener has to answer."""
_EVERY = 1.0
_LINGER = 2.0
_NETWORK = ("Connection", "Input/output error")
"""What ffmpeg's words hold when it is the other side that made it end."""


class SrtProcess(Child):
    """One ffmpeg that calls one listener and passes on what it reads, byte by byte.

    Its command line and environment are for every user of the machine to read, so passphrase and stream id come as a
    file of presets (`-fpre`, whose lines may be options of protocols too) that is a pipe. It begins with an empty
    payload: ffmpeg connects only once there is something to send. It ends when its stdin does, also when the worker
    was killed; and a listener that takes nothing ends it after five seconds (SRT's own keep-alive).
    """

    def __init__(self, program: str, address: SrtAddress) -> None:
        self._place = address.place
        self._latency = address.latency / 1000
        self._started = time.monotonic()
        self._sent = 0
        self._live = False
        self._fed = self._started
        self._last: float | None = None
        reading, writing = os.pipe()
        try:
            secret = _presets(address)
            with os.fdopen(writing, "wb") as presets:
                presets.write(secret)
            super().__init__(_command(program, address, reading if secret else None), environment(), (reading,))
        finally:
            os.close(reading)
        self.send(STUFFING)

    def send(self, data: bytes) -> None:
        """Send bytes as far as the pipe takes them; what is left goes with the next look at `ready`."""
        self._fed = time.monotonic()
        super().send(data)

    def reports(self) -> list[Report]:
        """What has happened since the last time, told from the counts ffmpeg writes every second."""
        now = time.monotonic()
        found: list[Report] = []
        for line in self._lines():
            name, _, value = line.decode(errors="replace").partition("=")
            if name == "total_size" and value.isdigit():
                self._sent = int(value)
                found.append({"event": "alive" if self._live else "live", "sent": self._sent})
                self._live = True
        if self._last is not None:
            if self.ended:
                found.append({"event": "ended", "sent": self._sent})
            elif self.ready and now >= self._last:
                self._stdin.close()
        elif self._live and self.ready and now - self._fed > _EVERY:
            # Nothing to send while a keyframe is waited for: ffmpeg writes its counts only when it gets something.
            self.send(STUFFING)
        return found

    def finish(self) -> None:
        """Have it end once the listener has had the time to ask again for what was lost."""
        self._last = time.monotonic() + min(self._latency, _LINGER)

    def death(self) -> tuple[Trouble, str]:
        """What made ffmpeg end: its own words hardly say it, so it is told from when."""
        words = self._words.decode(errors="replace")
        if "resolve hostname" in words:
            return Trouble.DNS, f"the name of {self._place} is not known"
        if self._process.returncode != 1 or not any(word in words for word in _NETWORK):
            return Trouble.SENDER, f"ffmpeg died: {self.last_words or 'without a word'}"
        if self._live:
            return Trouble.CLOSED, f"the listener at {self._place} ended the connection or was gone for 5 s"
        if time.monotonic() - self._started < _CONNECT:
            fix = "are passphrase and stream id right, and is the stream not there already?"
            return Trouble.REJECTED, f"the listener at {self._place} refuses the stream: {fix}"
        return Trouble.TIMEOUT, f"no SRT listener answers at {self._place}"

    def silence(self) -> tuple[Trouble, str]:
        """It sends when it gets something to send, so nothing goes out."""
        return Trouble.STALLED, f"nothing goes out to {self._place}"


def _command(program: str, address: SrtAddress, presets: int | None) -> list[str]:
    said: dict[str, str | int] = {
        "mode": "caller",
        "transtype": "live",
        "pkt_size": PAYLOAD,
        "connect_timeout": round(_CONNECT * 1000),
        # ffmpeg counts microseconds here.
        "latency": address.latency * 1000,
    }
    if address.key_length:
        said["pbkeylen"] = address.key_length
    # As data: a demuxer and muxer of MPEG-TS would take the stream apart only to make the same again.
    source = ffmpeg.input("pipe:0", f="data", raw_packet_size=PAYLOAD, nofind_stream_info=None)
    options = {"f": "data", "map": "0", "c": "copy", "flush_packets": 1}
    if presets is not None:
        options["fpre"] = f"/dev/fd/{presets}"
    made = ffmpeg.output(source, f"srt://{address.place}?{urlencode(said)}", **options)
    made = made.global_args("-hide_banner", "-nostdin", "-loglevel", "warning")
    made = made.global_args("-progress", "pipe:1", "-stats_period", f"{_EVERY:g}")
    return [str(word) for word in made.compile(cmd=program)]


def _presets(address: SrtAddress) -> bytes:
    said = {"passphrase": address.passphrase, "srt_streamid": address.stream_id}
    return "".join(f"{name}={value}\n" for name, value in said.items() if value).encode()
