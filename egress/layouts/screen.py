"""The shared screen on the stage, all of it, the others in a strip."""

from __future__ import annotations

from dataclasses import replace

from egress.layouts.base import Tile, View
from egress.layouts.documents import like
from egress.layouts.grid import grid
from egress.layouts.speaker import speaker
from egress.layouts.strip import staged
from egress.layouts.subjects import screens, subjects
from egress.model.look import ScreenDoc, SpeakerDoc
from egress.model.media import Size


def screen(view: View, canvas: Size, doc: ScreenDoc) -> tuple[Tile, ...]:
    """The newest screen on the stage, or a pinned peer's; other screens come first in the strip, then everyone.

    While nobody shares, it is the layout that the document names under `otherwise`.
    """
    shared = screens(view)
    if not shared:
        other = doc.otherwise == "speaker"
        return speaker(view, canvas, like(doc, SpeakerDoc, "speaker")) if other else grid(view, canvas, doc)
    first = [replace(subject, tier=(-1, place)) for place, subject in enumerate(shared)]
    people = [subject for subject in subjects(view) if not subject.screen]
    return staged(view, canvas, doc, first[:1], [*first[1:], *people])
