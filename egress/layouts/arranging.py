"""The one way from a view of the room to tiles: finds the layout, lets a shared screen take over, marks tiles."""

from __future__ import annotations

from dataclasses import replace

from egress.layouts.base import Layout, Tile, View
from egress.layouts.documents import like
from egress.layouts.subjects import sharing
from egress.model import registry
from egress.model.look import ColumnsDoc, CustomDoc, LayoutDoc, PipDoc, ScreenDoc, SpeakerDoc
from egress.model.media import Size
from egress.model.room import Room


def tiles(view: View, canvas: Size, doc: LayoutDoc) -> tuple[Tile, ...]:
    """Tiles of a view as a pipeline's layout document says; with View.before they move no more than needed.

    While somebody shares a screen and `doc.screens` is stage, the screen arrangement takes the place of any layout
    that has no place of its own for screens. Raises RequestError when no such layout is registered.
    """
    doc = _on_stage(doc) if doc.screens == "stage" and sharing(view.room) else doc
    layout: Layout = registry.load("layouts", doc.kind)
    return tuple(_marked(tile, view.room) for tile in layout(view, canvas, doc))


def _on_stage(doc: LayoutDoc) -> LayoutDoc:
    """The document that shows screens in the manner of another one."""
    own = isinstance(doc, ScreenDoc | PipDoc) or (isinstance(doc, CustomDoc) and any(b.screen for b in doc.boxes))
    if own or "screen" not in registry.names("layouts"):
        return doc
    most = LayoutDoc().most if isinstance(doc, ColumnsDoc) else doc.most
    strip = {"strip": "none"} if isinstance(doc, SpeakerDoc) and doc.single else {}
    return like(doc, ScreenDoc, "screen", most=most, **strip)


def _marked(tile: Tile, room: Room) -> Tile:
    if not tile.peer:
        return tile
    return replace(tile, camera_off=tile.track is None, lost=not room.connected)
