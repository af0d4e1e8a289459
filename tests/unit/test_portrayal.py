"""Pictures of peers come in the background, a few at once, and what fails is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
import pytest

from egress import portrayal as module
from egress.media.scene import Portrait
from egress.model.errors import DestinationError
from egress.model.room import Peer, PeerChanged, PeerJoined
from egress.portrayal import AT_ONCE, Portrayal
from tests.unit.test_stage import House


class Gallery:
    """Gives a picture for every address, once allowed to; `asked` are those it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.busy = self.busiest = 0
        self.open = asyncio.Event()
        self.open.set()
        self.told: list[dict[str, Portrait]] = []
        self.warnings: list[str] = []

    async def get(self, address: str) -> Portrait:
        self.asked.append(address)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await self.open.wait()
        finally:
            self.busy -= 1
        if "broken" in address:
            raise DestinationError(f"{address} is no picture")
        return np.full((2, 2, 4), len(address), np.uint8)

    def tell(self, portraits: Mapping[str, Portrait]) -> None:
        self.told.append(dict(portraits))

    def portrayal(self) -> Portrayal:
        return Portrayal(self.get, self.tell, self.warnings.append)


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


def peer(id: str, avatar: str = "") -> Peer:
    return Peer(id, id, "guest", avatar)


async def test_pictures_come_once_and_go_with_their_peers() -> None:
    gallery = Gallery()
    portrayal = gallery.portrayal()
    for _ in range(3):
        portrayal.follow([peer("ann", "https://a"), peer("bob")])
        await settle()
    assert gallery.asked == ["https://a"] and gallery.told[-1].keys() == {"ann"}
    portrayal.follow([peer("ann", "https://other"), peer("bob", "https://b")])
    await settle()
    assert gallery.told[-1].keys() == {"ann", "bob"} and int(gallery.told[-1]["ann"][0, 0, 0]) == len("https://other")
    portrayal.follow([])
    assert gallery.told[-1] == {}
    await portrayal.close()


async def test_what_fails_is_told_once_and_not_asked_for_again() -> None:
    gallery = Gallery()
    portrayal = gallery.portrayal()
    for name in ("ann", "bob", "ann"):
        portrayal.follow([peer(name, "https://broken")])
        await settle()
    assert gallery.asked == ["https://broken"] and not gallery.told
    assert gallery.warnings == ["the picture of ann cannot be shown: https://broken is no picture"]
    await portrayal.close()


async def test_a_few_at_once_of_a_bounded_number_and_none_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 20)
    gallery = Gallery()
    gallery.open.clear()
    portrayal = gallery.portrayal()
    portrayal.follow([peer(f"p{n}", f"https://{n}") for n in range(30)])
    await settle()
    assert gallery.busiest == AT_ONCE
    gallery.open.set()
    await settle()
    assert len(gallery.asked) == 20 and len(gallery.told[-1]) == 20 and gallery.busiest == AT_ONCE
    gallery.open.clear()
    portrayal.follow([peer("new", "https://new")])
    await settle()
    await portrayal.close()
    assert gallery.busy == 0


async def test_the_stage_shows_them_when_tiles_want_pictures() -> None:
    gallery = Gallery()
    house = House(fetch=gallery.get, tiles={"avatars": "pictures"})
    await house.stage.take(PeerJoined(peer("ann")))
    await house.stage.take(PeerChanged(peer("ann", "https://a")))
    await settle()
    assert house.scenes.last.style.portraits.keys() == {"ann"}
    house.say(command="tiles", tiles={"avatars": "initials"})
    assert not house.scenes.last.style.portraits and gallery.asked == ["https://a"]
    await house.stage.close()
