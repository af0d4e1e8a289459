"""Rules about pictures of one content in several sizes: one shape, and the same cuts at the same times."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.hls_findings import Findings
from tests.hls_media_rules import Rendition


def check_ladder(found: Findings, renditions: Sequence[Rendition]) -> None:
    """Hold every picture against the one listed before it."""
    pictures = [rendition for rendition in renditions if rendition.video]
    for one, two in pairwise(pictures):
        where = f"{one.name}, {two.name}"
        if one.init and two.init and one.init.height and two.init.height:
            shapes = [init.width / init.height for init in (one.init, two.init)]
            # A size of even numbers may be a pixel beside the shape.
            apart = abs(shapes[0] - shapes[1])
            found.expect("A1.33", where, apart < 0.02, f"shapes {shapes[0]:.3f} and {shapes[1]:.3f}")
        others = {segment.msn: segment for segment in two.playlist.segments}
        for segment in one.playlist.segments:
            other = others.get(segment.msn)
            starts = (one.start(segment), two.start(other)) if other else (None, None)
            if other is None or starts[0] is None or starts[1] is None:
                continue
            same = abs(starts[0] - starts[1]) < 0.001 and abs(segment.duration - other.duration) < 0.001
            message = f"{starts[0]:.4f} for {segment.duration:.4f} s and {starts[1]:.4f} for {other.duration:.4f} s"
            found.expect("A7.4v", f"{where} #{segment.msn}", same, message)
