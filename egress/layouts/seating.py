"""Who sits where when tiles are equal: in order, without anyone moving needlessly, the rest counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from egress.layouts.base import Box, Tile, View
from egress.layouts.subjects import Subject, worthiest
from egress.model.look import LayoutDoc


def seat(
    view: View, waiting: Sequence[Subject], places: int, before: Sequence[Tile] = (), *, counted: bool = True
) -> tuple[tuple[Subject, ...], int]:
    """Subjects in the order of their places, and how many others are counted in a tile after theirs.

    `before` are the tiles of these places until now. Whoever had a place keeps it, as far as lower tiers do come
    first; others take the places left. With `counted`, the last of several places is kept free for the number of
    those who found none.
    """
    shown, left_over = tuple(waiting), 0
    if len(waiting) > places:
        taken = places - 1 if counted and places > 1 else places
        shown = worthiest(view, waiting, taken)
        left_over = len(waiting) - taken if taken < places else 0
    had = _places(shown, before)
    seated: list[Subject] = []
    for _, group in groupby(sorted(shown, key=lambda s: s.tier), key=lambda s: s.tier):
        seated += _keep(list(group), had, len(seated))
    return tuple(seated), left_over


def equal(before: Sequence[Tile]) -> Sequence[Tile]:
    """The tiles until now, if they were equal ones; those of another arrangement say nothing about places."""
    return before if len({tile.box.size for tile in before}) == 1 else ()


def tiles(seated: Sequence[Subject], left_over: int, boxes: Sequence[Box], doc: LayoutDoc) -> tuple[Tile, ...]:
    """Tiles of subjects in their boxes; the box after the last says how many are left over."""
    made = [subject.tile(box, doc) for subject, box in zip(seated, boxes, strict=False)]
    if left_over:
        made.append(Tile("", None, None, boxes[len(seated)], doc.fit, f"+{left_over} more", "", True))
    return tuple(made)


def _places(shown: Iterable[Subject], before: Sequence[Tile]) -> dict[tuple[str, str], int]:
    """The places of subjects until now by their keys: where their track was, else where their peer was."""
    tracks: dict[str | None, int] = {}
    peers: dict[str, int] = {}
    for place, tile in enumerate(before):
        tracks[tile.track] = place
        if not tile.screen:
            peers.setdefault(tile.peer, place)
    had = {}
    for subject in shown:
        if subject.video is not None and subject.video.id in tracks:
            had[subject.key] = tracks[subject.video.id]
        elif subject.peer.id in peers:
            had[subject.key] = peers[subject.peer.id]
    return had


def _keep(tier: list[Subject], had: dict[tuple[str, str], int], first: int) -> list[Subject]:
    """One tier's subjects for the places from `first` on."""
    kept: dict[int, Subject] = {}
    homeless = []
    for subject in tier:
        place = had.get(subject.key, -1) - first
        if 0 <= place < len(tier) and place not in kept:
            kept[place] = subject
        else:
            homeless.append(subject)
    free = iter(homeless)
    return [kept[place] if place in kept else next(free) for place in range(len(tier))]
