"""Named peers or roles large, the others in a strip."""

from __future__ import annotations

from dataclasses import replace

from egress.layouts.base import Tile, View
from egress.layouts.grid import grid
from egress.layouts.matching import named
from egress.layouts.strip import staged
from egress.layouts.subjects import Subject, subjects
from egress.model.look import SpotlightDoc
from egress.model.media import Size
from egress.model.room import Peer

_AHEAD = 1_000
"""Beyond any prominence: who is meant comes before who is not, wherever it sits."""


def spotlight(view: View, canvas: Size, doc: SpotlightDoc) -> tuple[Tile, ...]:
    """On the stage: pinned peers, then those named, then those of the roles; a grid of everyone when none is there."""
    stars: list[Subject] = []
    others: list[Subject] = []
    for subject in subjects(view):
        rank = _rank(subject.peer, doc)
        if subject.screen or (rank is None and subject.peer.id not in view.pinned):
            others.append(subject)
        else:
            stars.append(replace(subject, tier=(subject.tier[0], (rank or 0) - _AHEAD)))
    if not stars:
        return grid(view, canvas, doc)
    return staged(view, canvas, doc, sorted(stars, key=lambda s: s.tier), others)


def _rank(peer: Peer, doc: SpotlightDoc) -> int | None:
    """How early the document names a peer; None when it does not."""
    for place, pattern in enumerate(doc.peers):
        if named(peer, (pattern,)):
            return place
    return len(doc.peers) + doc.roles.index(peer.role) if peer.role in doc.roles else None
