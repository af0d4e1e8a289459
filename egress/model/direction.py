"""How the picture is directed: the pipeline's wishes, and what operators have said since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from egress.model import registry
from egress.model.control import (
    Command,
    Hide,
    Pause,
    Pin,
    RemoveOverlay,
    Resume,
    SetLayout,
    SetOverlay,
    SetOverlays,
    SetTheme,
    SetTiles,
    SetTitle,
    Show,
    Unpin,
)
from egress.model.errors import RequestError
from egress.model.look import AnyOverlay, LayoutDoc, ThemeDoc, TilesDoc, TitleOverlay
from egress.model.pipeline import Pipeline
from egress.model.problems import did_you_mean, one_of, shown
from egress.model.room import Room

MOST_OVERLAYS = 16


@dataclass(frozen=True, slots=True)
class Direction:
    """What an operator can change while a job runs; `pinned` (first one first) and `hidden` are ids of peers.

    Peers who leave stay pinned or hidden, for they may come back.
    """

    layout: LayoutDoc
    theme: ThemeDoc
    tiles: TilesDoc
    overlays: tuple[AnyOverlay, ...] = ()
    pinned: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    paused: bool = False

    @classmethod
    def of(cls, pipeline: Pipeline) -> Direction:
        """As the pipeline has it, before anybody said anything."""
        return cls(pipeline.layout, pipeline.theme, pipeline.tiles, pipeline.overlays)

    def after(self, command: Command, room: Room) -> Direction:
        """The direction once a command is obeyed; those that direct nothing change nothing.

        Raises RequestError naming the field and the fix: an unknown peer, layout or overlay.
        """
        match command:
            case SetLayout(layout=layout):
                return replace(self, layout=_known(layout))
            case SetTheme(theme=theme):
                return replace(self, theme=theme)
            case SetTiles(tiles=tiles):
                return replace(self, tiles=tiles)
            case SetOverlays(overlays=overlays):
                return replace(self, overlays=_distinct(overlays))
            case SetOverlay(overlay=overlay):
                return replace(self, overlays=self._with(overlay))
            case RemoveOverlay(overlay=overlay_id):
                return replace(self, overlays=self._without(overlay_id))
            case SetTitle(text=text):
                return replace(self, overlays=self._titled(text))
            case Pin(peers=peers):
                return replace(self, pinned=_peers(peers, room))
            case Unpin():
                return replace(self, pinned=())
            case Hide(peers=peers):
                return replace(self, hidden=self.hidden | set(_peers(peers, room)))
            case Show(peers=peers):
                return replace(self, hidden=self.hidden - set(_peers(peers, room, also=self.hidden)))
            case Pause():
                return replace(self, paused=True)
            case Resume():
                return replace(self, paused=False)
            case _:
                return self

    def _with(self, overlay: AnyOverlay) -> tuple[AnyOverlay, ...]:
        if overlay.id is None:
            raise _refuse("overlay.id", "is required: a name to change or remove the overlay by, like logo")
        if any(other.id == overlay.id for other in self.overlays):
            return tuple(overlay if other.id == overlay.id else other for other in self.overlays)
        return self._added(overlay, "overlay")

    def _without(self, overlay_id: str) -> tuple[AnyOverlay, ...]:
        left = tuple(overlay for overlay in self.overlays if overlay.id != overlay_id)
        if len(left) == len(self.overlays):
            known = [overlay.id for overlay in self.overlays if overlay.id is not None]
            there = f"there are: {one_of(known)}" if known else "there is none with an id"
            raise _refuse(
                "overlay", f"no overlay has the id {shown(overlay_id)}{did_you_mean(overlay_id, known)}; {there}"
            )
        return left

    def _titled(self, text: str) -> tuple[AnyOverlay, ...]:
        title = next((overlay for overlay in self.overlays if isinstance(overlay, TitleOverlay)), None)
        if not text.strip():
            return tuple(overlay for overlay in self.overlays if overlay is not title)
        if title is None:
            taken = any(overlay.id == "title" for overlay in self.overlays)
            return self._added(TitleOverlay(kind="title", id=None if taken else "title", text=text), "text")
        changed = title.model_copy(update={"text": text})
        return tuple(changed if overlay is title else overlay for overlay in self.overlays)

    def _added(self, overlay: AnyOverlay, field: str) -> tuple[AnyOverlay, ...]:
        if len(self.overlays) >= MOST_OVERLAYS:
            raise _refuse(field, f"there are {MOST_OVERLAYS} overlays already; remove one first")
        return (*self.overlays, overlay)


def _known(layout: LayoutDoc) -> LayoutDoc:
    known = registry.names("layouts")
    if layout.kind not in known:
        guess = did_you_mean(layout.kind, known)
        raise _refuse("layout.kind", f"unknown layout {shown(layout.kind)}{guess}; known: {one_of(known)}")
    return layout


def _distinct(overlays: Sequence[AnyOverlay]) -> tuple[AnyOverlay, ...]:
    seen: set[str] = set()
    for number, overlay in enumerate(overlays):
        if overlay.id in seen:
            raise _refuse(f"overlays[{number}].id", f"{overlay.id} is the id of another overlay; use another one")
        seen |= {overlay.id} if overlay.id else set()
    return tuple(overlays)


def _peers(named: Sequence[str], room: Room, *, also: Iterable[str] = ()) -> tuple[str, ...]:
    """The ids of peers that are named by id or by name (capitals and small letters alike), each once."""
    return tuple(dict.fromkeys(_peer(name, f"peers[{number}]", room, also) for number, name in enumerate(named)))


def _peer(name: str, field: str, room: Room, also: Iterable[str]) -> str:
    if name in room.peers or name in also:
        return name
    fold: Callable[[str], str] = str.casefold
    found = [peer.id for peer in room.peers.values() if fold(peer.name) == fold(name)]
    if len(found) > 1:
        raise _refuse(field, f"{len(found)} peers are called {shown(name)}; use an id: {one_of(found)}")
    if not found:
        known = [peer.name or peer.id for peer in room.peers.values()]
        there = f"in the room: {one_of(known[:20])}" if known else "nobody is in the room"
        raise _refuse(field, f"no peer has the id or name {shown(name)}{did_you_mean(name, known)}; {there}")
    return found[0]


def _refuse(field: str, message: str) -> RequestError:
    return RequestError(f"{field}: {message}", ((field, message),))
