"""The RTMP(S) sink: publishes to one server by a sender process of our own (egress.sinks.sender)."""

from __future__ import annotations

from collections.abc import Sequence

from egress.model.address import RtmpAddress
from egress.model.errors import Fault, RequestError
from egress.model.media import Codec, StreamInfo
from egress.model.outputs import SinkDoc
from egress.sinks.backoff import Backoff
from egress.sinks.base import SinkContext
from egress.sinks.destination import Patience
from egress.sinks.flv import Track, header
from egress.sinks.live import LiveSink
from egress.sinks.sender_feed import Frame, Limits, Order
from egress.sinks.sender_process import SenderProcess
from egress.sinks.stamps import Unit

_CARRIED = {"video": Codec.H264, "audio": Codec.AAC}


class RtmpSink(LiveSink):
    """A live sink for an RTMP(S) server. One audio (AAC) and one video (H.264) stream at most."""

    KIND = "rtmp"

    def __init__(
        self,
        doc: SinkDoc,
        context: SinkContext,
        *,
        limits: Limits | None = None,
        patience: Patience | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(doc, context, patience=patience, backoff=backoff)
        self._limits = limits or Limits()
        self._order = b""

    def _prepare(self, programme: Sequence[StreamInfo]) -> tuple[str, ...]:
        address = RtmpAddress.parse(self.context.to)
        self._order = Order(self.context.to, _tracks(programme), self._limits).encode()
        return address.secrets

    def _start(self) -> SenderProcess:
        return SenderProcess(self._order)

    def _encode(self, unit: Unit, at: int) -> bytes:
        return Frame(unit.stream, unit.key, at, unit.composition, unit.data).encode()


def _tracks(programme: Sequence[StreamInfo]) -> tuple[Track, ...]:
    if not programme:
        raise RequestError("an RTMP stream needs a picture or sound, and the programme has neither")
    tracks = []
    for info in programme:
        if info.codec is not _CARRIED[info.kind]:
            fix = f"set {info.kind}.codec to {_CARRIED[info.kind].value}"
            problem = f"RTMP does not carry {info.codec.value} {info.kind}; {fix}"
            raise RequestError(problem, ((f"{info.kind}.codec", problem),))
        if sum(other.kind == info.kind for other in programme) > 1:
            raise RequestError(f"RTMP carries one {info.kind} stream, and the programme has several")
        size, fps = info.size, info.fps
        track = Track(
            kind=info.kind,
            extradata=info.extradata,
            bitrate=info.bitrate,
            width=size.width if size is not None else 0,
            height=size.height if size is not None else 0,
            fps=fps or 1 / info.time_base,
            rate=info.rate,
            channels=info.channels,
        )
        try:
            header(track)
        except Fault as error:
            raise RequestError(f"{error}: its encoder must write a global header") from None
        tracks.append(track)
    return tuple(tracks)
