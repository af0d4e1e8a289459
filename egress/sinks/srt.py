"""The SRT sink: MPEG-TS made here, sent to one listener by an ffmpeg (see srt_process)."""

from __future__ import annotations

from collections.abc import Sequence

from egress import programs
from egress.model.errors import RequestError
from egress.model.media import Codec, StreamInfo
from egress.model.srt_address import SrtAddress
from egress.sinks.child import Child
from egress.sinks.live import LiveSink
from egress.sinks.srt_process import SrtProcess
from egress.sinks.stamps import Unit
from egress.sinks.transport import TransportStream

_CARRIED = {"video": Codec.H264, "audio": Codec.AAC}


class SrtSink(LiveSink):
    """A live sink for an SRT listener: H.264 and AAC in MPEG-TS, as they were encoded."""

    KIND = "srt"

    _address: SrtAddress
    _ffmpeg: str
    _programme: tuple[StreamInfo, ...]
    _made: TransportStream

    def _prepare(self, programme: Sequence[StreamInfo]) -> tuple[str, ...]:
        self._address = SrtAddress.parse(self.context.to)
        self._ffmpeg = self.context.options.get("ffmpeg") or programs.find(programs.FFMPEG) or ""
        if problem := programs.srt_problem(self._ffmpeg):
            raise RequestError(f"{self._public} {problem}", (("to", problem),))
        if not programme:
            raise RequestError("an SRT stream needs a picture or sound, and the programme has neither")
        for info in programme:
            if info.codec is not _CARRIED[info.kind]:
                problem = f"SRT listeners do not expect {info.codec.value} {info.kind}"
                fix = f"set {info.kind}.codec to {_CARRIED[info.kind].value}"
                raise RequestError(f"{problem}; {fix}", ((f"{info.kind}.codec", f"{problem}; {fix}"),))
        self._programme = tuple(programme)
        return self._address.secrets

    def _start(self) -> Child:
        # Each connection gets a stream that declares itself at its beginning.
        self._made = TransportStream(self._programme)
        return SrtProcess(self._ffmpeg, self._address)

    def _encode(self, unit: Unit, at: int) -> bytes:
        return self._made.write(unit, at)

    def _bid_farewell(self, child: Child) -> None:
        child.send(self._made.close())
        child.finish()
