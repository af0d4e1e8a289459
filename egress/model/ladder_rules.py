"""What the smaller pictures of a ladder have to be: of one shape, ever smaller, and wanted by somebody."""

from __future__ import annotations

from collections.abc import Iterator

from egress.model.media import Size
from egress.model.outputs import HlsDoc
from egress.model.pipeline import Pipeline
from egress.model.problems import Finding, Problem
from egress.model.units import bitrate_text

LEAST_SIDE = 64
LEAST_BITRATE = 50_000


def ladder_findings(p: Pipeline) -> Iterator[Finding]:
    """Every rule a pipeline's ladder breaks."""
    if p.video is None or not p.video.ladder:
        return
    if not any(isinstance(sink, HlsDoc) for sink in p.sinks):
        message = "only an hls sink offers smaller pictures; add one, or leave the ladder out"
        yield Finding(Problem("video.ladder", message), ("sinks",))
    whole, size, bitrate, above = p.video.size, p.video.size, p.video.bitrate, "video"
    for index, rung in enumerate(p.video.ladder):
        path = f"video.ladder[{index}]"
        yield from _size(f"{path}.size", rung.size, whole, size, above)
        if not LEAST_BITRATE <= rung.bitrate < bitrate:
            span = f"{bitrate_text(LEAST_BITRATE)} to less than {bitrate_text(bitrate)}, which {above} has"
            yield Finding(
                Problem(f"{path}.bitrate", f"{bitrate_text(rung.bitrate)} bit/s; use {span}"), ("video.bitrate",)
            )
        size, bitrate, above = rung.size, rung.bitrate, path


def _size(path: str, size: Size, whole: Size, before: Size, above: str) -> Iterator[Finding]:
    def found(message: str) -> Finding:
        return Finding(Problem(path, f"{size} {message}"), ("video.size",))

    if whole.width <= 0 or whole.height <= 0:
        return
    if min(size.width, size.height) < LEAST_SIDE:
        yield found(f"is too small; each side needs {LEAST_SIDE} pixels")
    elif size.width >= before.width or size.height >= before.height:
        yield found(f"is not smaller than {before} of {above}; list larger pictures first")
    elif size.width % 2 or size.height % 2:
        yield found(f"has an odd side; use {_fitting(size, whole)}")
    elif abs(size.width - size.height * whole.width / whole.height) > 1.5:
        # Nearest even numbers may be a pixel beside the very shape (RFC 8216 wants one content in all variants).
        yield found(f"has another shape than {whole}; use {_fitting(size, whole)}")


def _fitting(size: Size, whole: Size) -> Size:
    """The even size of about this height in the shape of the whole."""
    height = size.height + size.height % 2
    return Size(2 * round(height * whole.width / whole.height / 2), height)
