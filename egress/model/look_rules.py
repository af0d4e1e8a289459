"""Rules of the picture: what peers, layout, tiles, theme, overlays, cards and roles must keep on this canvas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

from egress.model import registry
from egress.model.look import LAYOUTS, ClockOverlay, CustomDoc, ImageOverlay, SpotlightDoc
from egress.model.look_contrast import accent_finding, theme_findings
from egress.model.look_texts import text_problems
from egress.model.media import MILLISECOND, SECOND, Size
from egress.model.pipeline import Pipeline
from egress.model.problems import Finding, Problem, did_you_mean, one_of, shown
from egress.model.units import duration_text

LEAST_BOX = 16
"""Pixels: nothing smaller than a macroblock is worth a box."""
LEAST_ROOM = 64
"""Pixels that margins and a gap must leave of the shorter side."""
MAX_TRANSITION = SECOND
CARD = (500 * MILLISECOND, 30 * SECOND)
MAX_CLOCK = 40
"""Characters of the longest time a clock may show."""
MAX_WORD = 64
"""Characters of a role, and of a name or pattern."""

_LONGEST = datetime(2026, 9, 30, 20, 58, 58)
"""A Wednesday in September: the longest names."""
_DIRECTIVES = frozenset("aAbBdeFGHIjmMpRSTuUVwWyYZz%")
"""What strftime knows of whole seconds, without what depends on a locale's order of day and month."""


def look_findings(p: Pipeline) -> Iterator[Finding]:
    """Every rule of the picture that the pipeline breaks."""
    for rule in (_select, _layout, _spotlight, _boxes, _tiles, _theme, _overlays, _texts, _cards, _roles):
        yield from rule(p)


def _found(path: str, message: str, *reads: str) -> Finding:
    return Finding(Problem(path, message), reads)


def _size(p: Pipeline) -> Size | None:
    """The canvas, when there is one that the rules of its own let pass."""
    size = p.video.size if p.video else None
    return size if size and min(size.width, size.height) >= LEAST_ROOM else None


def _words(path: str, words: tuple[str, ...] | None, what: str) -> Iterator[Finding]:
    """A list of names or roles; an empty one would select nobody."""
    if words is not None and not words:
        yield _found(path, f"selects nobody; give at least one {what}, or leave it out for everyone")
    for index, word in enumerate(words or ()):
        yield from _word(f"{path}[{index}]", word, what)


def _word(path: str, word: str, what: str) -> Iterator[Finding]:
    if not word.strip():
        yield _found(path, f"is empty; give a {what}")
    elif word != word.strip():
        yield _found(path, f"{shown(word)} begins or ends with a space; use {shown(word.strip())}")
    elif len(word) > MAX_WORD:
        yield _found(path, f"is {len(word)} characters long; a {what} may have {MAX_WORD}")
    elif any(unicodedata.category(char) in ("Cc", "Cs") for char in word):
        yield _found(path, f"{shown(word)} holds a control character; use printable ones")


def _select(p: Pipeline) -> Iterator[Finding]:
    yield from _words("select.roles", p.select.roles, "role")
    yield from _words("select.names", p.select.names, "name")
    if p.select.sources is not None and not p.select.sources:
        yield _found("select.sources", "selects nothing; give at least one source, or leave it out for all")


def _layout(p: Pipeline) -> Iterator[Finding]:
    known = {*LAYOUTS, *registry.names("layouts")}
    if p.layout.kind not in known:
        hint = did_you_mean(p.layout.kind, known)
        yield _found("layout.kind", f"unknown layout {shown(p.layout.kind)}{hint}; known: {one_of(known)}")
    if size := _size(p):
        left = min(size.width, size.height) - 2 * p.layout.margin
        if left < LEAST_ROOM:
            message = f"{p.layout.margin} pixels on each side leave nothing of {size}; make it smaller"
            yield _found("layout.margin", message, "video.size")
        elif left - p.layout.gap < LEAST_ROOM // 2:
            message = f"{p.layout.gap} pixels between tiles leave nothing for them on {size}; make it smaller"
            yield _found("layout.gap", message, "layout.margin", "video.size")


def _spotlight(p: Pipeline) -> Iterator[Finding]:
    if not isinstance(p.layout, SpotlightDoc):
        return
    for name, what in (("peers", "name or id"), ("roles", "role")):
        for index, word in enumerate(getattr(p.layout, name)):
            yield from _word(f"layout.{name}[{index}]", word, what)
    if not p.layout.peers and not p.layout.roles:
        message = "a spotlight is on nobody; add peers: [NAME] or roles: [ROLE], or use kind: speaker"
        yield _found("layout.kind", message, "layout.peers", "layout.roles")


def _boxes(p: Pipeline) -> Iterator[Finding]:
    if not isinstance(p.layout, CustomDoc):
        return
    for index, box in enumerate(p.layout.boxes):
        path = f"layout.boxes[{index}]"
        for start, length, side in (("x", "width", "right"), ("y", "height", "bottom")):
            at, extent = getattr(box, start), getattr(box, length)
            # Thirds and the like do not add up to exactly 1 in floating point.
            if at + extent > 1 + 1e-6:
                message = f"{at:g} + {extent:g} leads over the {side} edge; use {_floor(1 - at)} or less"
                yield _found(f"{path}.{length}", message, f"{path}.{start}")
            elif (size := _size(p)) and extent * getattr(size, length) < LEAST_BOX:
                least = -(-LEAST_BOX * 1000 // getattr(size, length)) / 1000
                message = f"{extent:g} of {size} is under {LEAST_BOX} pixels; use {least:g} or more"
                yield _found(f"{path}.{length}", message, "video.size")
        who = [name for name in ("role", "name", "screen") if getattr(box, name)]
        if len(who) > 1:
            message = f"{' and '.join(who)} stand together, and a box is for one of them; keep one"
            yield _found(path, message, *(f"{path}.{name}" for name in who))
        for name in ("role", "name"):
            if (word := getattr(box, name)) is not None:
                yield from _word(f"{path}.{name}", word, name)


def _floor(number: float) -> str:
    return f"{int(number * 1000 + 1e-6) / 1000:g}"


def _tiles(p: Pipeline) -> Iterator[Finding]:
    if p.tiles.transition > MAX_TRANSITION:
        message = f"{duration_text(p.tiles.transition)} is too long; use {duration_text(MAX_TRANSITION)} or less"
        yield _found("tiles.transition", message)
    size = _size(p)
    if size and 2 * p.tiles.radius > min(size.width, size.height):
        message = (
            f"{p.tiles.radius} pixels are more than half of {size}; use {min(size.width, size.height) // 2} or less"
        )
        yield _found("tiles.radius", message, "video.size")


def _theme(p: Pipeline) -> Iterator[Finding]:
    yield from theme_findings(p.theme)


def _overlays(p: Pipeline) -> Iterator[Finding]:
    ids: dict[str, int] = {}
    for index, overlay in enumerate(p.overlays):
        path = f"overlays[{index}]"
        if overlay.id is not None and overlay.id in ids:
            message = f"{overlay.id!r} is the id of overlays[{ids[overlay.id]}] too; give each its own"
            yield _found(f"{path}.id", message, f"overlays[{ids[overlay.id]}].id")
        elif overlay.id is not None:
            ids[overlay.id] = index
        if isinstance(overlay, ClockOverlay):
            yield from _clock(path, overlay)
        size = _size(p)
        side = min(size.width, size.height) if size else None
        if isinstance(overlay, ImageOverlay) and side and side - 2 * overlay.margin < LEAST_BOX:
            message = f"{overlay.margin} pixels on each side leave nothing of {size}; make it smaller"
            yield _found(f"{path}.margin", message, "video.size")


def _clock(path: str, clock: ClockOverlay) -> Iterator[Finding]:
    if clock.zone not in _zones():
        hint = did_you_mean(clock.zone, _zones())
        yield _found(f"{path}.zone", f"unknown time zone {shown(clock.zone)}{hint}; write it like Europe/Berlin or UTC")
    directives = re.findall(r"%(.?)", clock.format, re.DOTALL)
    if unknown := next((char for char in directives if char not in _DIRECTIVES or not char), None):
        message = f"%{unknown} is not known; use %H:%M:%S, %Y-%m-%d, %A %d %B and the like"
        yield _found(f"{path}.format", message)
    elif "" in directives:
        yield _found(f"{path}.format", "a % stands alone at the end; write %% for a per cent sign")
    elif not all(char.isprintable() for char in clock.format):
        yield _found(f"{path}.format", "holds a control character; use printable ones")
    elif len(_LONGEST.strftime(clock.format)) > MAX_CLOCK:
        yield _found(f"{path}.format", f"becomes longer than {MAX_CLOCK} characters; show less")
    elif not any(char != "%" for char in directives):
        yield _found(f"{path}.format", f"{shown(clock.format)} shows no time; use %H:%M:%S, %H:%M or the like")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _texts(p: Pipeline) -> Iterator[Finding]:
    for problem in text_problems(p):
        yield Finding(problem)


def _cards(p: Pipeline) -> Iterator[Finding]:
    low, high = CARD
    for name, card in (("start", p.cards.start), ("end", p.cards.end)):
        if card is not None and not low <= card.duration <= high:
            span = f"{duration_text(low)} to {duration_text(high)}"
            message = f"{duration_text(card.duration)} is out of range; use {span}"
            yield _found(f"cards.{name}.duration", message)


def _roles(p: Pipeline) -> Iterator[Finding]:
    for name, role in p.roles.items():
        yield from _word(f"roles.{name}", name, "role")
        if role.accent is not None:
            yield from accent_finding(name, role.accent, p.theme)
        if role.pan != "both" and p.audio.channels == 1:
            message = f"{role.pan} needs two channels, and audio.channels is 1; set audio.channels: 2"
            yield _found(f"roles.{name}.pan", message, "audio.channels")
