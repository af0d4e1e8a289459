"""The analyser's eye finds everyone in any layout, told no more than the layout's document."""

from __future__ import annotations

from pathlib import Path

import pytest

from egress.model.look import ColumnsDoc, GridDoc, LayoutDoc, PipDoc, SpeakerDoc, SpotlightDoc
from egress.model.media import Size
from tests.product import make
from tests.watching import watch

WIDE, TALL = Size(640, 360), Size(360, 640)


@pytest.mark.parametrize(
    ("doc", "participants", "screens", "canvas", "seen"),
    [
        (SpeakerDoc(kind="speaker"), 3, 0, WIDE, (0, 1, 2)),
        (SpeakerDoc(kind="speaker", fit="contain"), 3, 0, TALL, (0, 1, 2)),
        (GridDoc(), 3, 1, WIDE, (0, 1, 2)),
        (GridDoc(), 3, 1, TALL, (0, 1, 2)),
        (GridDoc(screens="tile"), 3, 1, WIDE, (0, 1, 2)),
        (SpotlightDoc(kind="spotlight", peers=("peer-01",)), 3, 0, WIDE, (0, 1, 2)),
        (ColumnsDoc(kind="columns", fit="contain"), 2, 0, WIDE, (0, 1)),
        (PipDoc(kind="pip", corner="bottom-right"), 1, 0, WIDE, (0,)),
    ],
    ids=lambda value: f"{value.kind}-{value.screens}" if isinstance(value, LayoutDoc) else str(value),
)
def test_everyone_is_found_in_every_picture(
    tmp_path: Path, doc: LayoutDoc, participants: int, screens: int, canvas: Size, seen: tuple[int, ...]
) -> None:
    path = tmp_path / "product.mp4"
    make(path, participants, 1, canvas=canvas, fps=15, doc=doc, screens=screens)
    watched = watch(path, participants=participants, screens=screens, doc=doc)
    assert watched is not None
    assert watched.arrangements == [(0, participants)]
    assert {who: len(sights) for who, sights in watched.sights.items()} == dict.fromkeys(seen, 15)
