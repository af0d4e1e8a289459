"""Who speaks on a large stage, the others in a strip."""

from __future__ import annotations

from egress.layouts.base import Tile, View
from egress.layouts.strip import staged
from egress.layouts.subjects import featured, subjects
from egress.model.look import SpeakerDoc
from egress.model.media import Size


def speaker(view: View, canvas: Size, doc: SpeakerDoc) -> tuple[Tile, ...]:
    """Pinned, else who speaks, else who is prominent or spoke last on the stage; they change places with the strip."""
    everyone = subjects(view)
    star = featured(view, everyone, view.before[0].peer if view.before else None)
    if star is None:
        return ()
    others = () if doc.single else [subject for subject in everyone if subject is not star]
    return staged(view, canvas, doc, (star,), others)
