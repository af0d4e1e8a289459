"""External streams: which kind of sink an address is for, how it may be shown, and what is kept of it."""

from __future__ import annotations

from egress.model.address import SCHEMES, RtmpAddress, shown
from egress.model.errors import RequestError
from egress.model.outputs import RtmpDoc, SinkDoc, SrtDoc
from egress.model.srt_address import SrtAddress, shown_srt

STREAM_DOCS = (RtmpDoc, SrtDoc)
"""Sinks whose `to` is a secret: it holds what allows to publish there."""


def is_srt(to: str) -> bool:
    """Whether an address is one for SRT."""
    return to.strip().lower().startswith("srt:")


def stream_doc(to: str, *, required: bool = False, name: str = "") -> RtmpDoc | SrtDoc:
    """The sink for an address, by its scheme; the address is not checked."""
    if is_srt(to):
        return SrtDoc(kind="srt", to=to, required=required, name=name)
    return RtmpDoc(kind="rtmp", to=to, required=required, name=name)


def check_stream(to: str) -> None:
    """Raise RequestError when an address is none a stream can go to."""
    if is_srt(to):
        SrtAddress.parse(to)
        return
    scheme, colon, _ = to.partition("://")
    if colon and scheme.lower() not in SCHEMES:
        known = ", ".join((*SCHEMES, "srt"))
        problem = f"has the scheme {scheme[:20]!r}; it needs one of {known}, like rtmp://host/app/key"
        raise RequestError(f"the address {shown(to)} {problem}", (("to", problem),))
    RtmpAddress.parse(to)


def shown_stream(to: str) -> str:
    """What may be shown of the address of a stream, right or wrong."""
    return shown_srt(to.strip()) if is_srt(to) else shown(to)


def without_address(sink: SinkDoc) -> SinkDoc:
    """The sink as it may be kept on disk: a stream's address says no more than its kind."""
    if isinstance(sink, SrtDoc):
        return sink.model_copy(update={"to": "srt://hidden:1"})
    return sink.model_copy(update={"to": "rtmp://hidden/hidden"}) if isinstance(sink, RtmpDoc) else sink
