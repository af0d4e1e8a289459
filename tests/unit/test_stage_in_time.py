"""The stage and its programme over time: rooms change, operators speak, ticks lag behind, and each is as it must be."""

from __future__ import annotations

import random
from typing import Any

import pytest

from egress.media.floor import Floor
from egress.media.scene import Scene
from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.model.room import Peer, PeerJoined, PeerLeft, PeerSpeaking, Room
from tests.unit import test_stage
from tests.unit.test_stage import House, Scenes

WHO = ("ann", "bob", "cem")


class Clock:
    """Session time is what it is set to."""

    time: Nanos = 0

    def now(self) -> Nanos:
        return self.time


class Queue(Scenes):
    """Forgets scenes as the programme does: what was on at a tick cannot be revised."""

    on = Scene()

    def tick(self) -> Scene:
        while self.shown and self.shown[0][0] <= self.position:
            self.on = self.shown.pop(0)[1]
        return self.on


def say_something(chance: random.Random, house: House) -> None:
    """What an operator, or whoever has the floor, does."""
    what = chance.choice(("pause", "resume", "hide", "show", "theme", "floor"))
    there = sorted(house.stage.room.peers)
    if what in ("pause", "resume"):
        house.say(command=what)
    elif what == "theme":
        house.say(command="theme", theme=chance.choice(("dark", "light")))
    elif what == "floor":
        house.stage.give_floor(Floor(speaker=chance.choice(WHO)))
    elif there:
        house.say(command=what, peers=[chance.choice(there)])


def check(house: House, scene: Scene, room: Room) -> None:
    said = house.stage.direction
    assert scene.peers == room.peers.keys() - said.hidden
    assert scene.paused == said.paused
    assert scene.style.theme == said.theme


@pytest.mark.parametrize("period", [SECOND // 60, SECOND])
@pytest.mark.parametrize("delay", [50 * MILLISECOND, 400 * MILLISECOND, SECOND])
@pytest.mark.parametrize("document", [{}, {"cards": {"start": {"title": "Soon", "duration": "2s"}}}])
async def test_each_tick_shows_the_room_of_its_time_and_obeys_what_was_said_by_now(
    period: Nanos, delay: Nanos, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_stage, "Scenes", Queue)
    for seed in range(3):
        chance, house, clock, tick = random.Random(seed), House(**document), Clock(), 0
        monkeypatch.setattr(house.stage, "_clock", clock)
        scenes = house.scenes
        assert isinstance(scenes, Queue)
        rooms = [(0, house.stage.room)]
        for _ in range(120):
            clock.time += chance.choice((0, 1, period // 3, period, 3 * period)) + chance.randrange(9)
            while scenes.position + delay <= clock.time:
                check(house, scenes.tick(), [room for at, room in rooms if at <= scenes.position][-1])
                if chance.random() < 0.2:
                    # While a tick is being made, it still counts as the next one.
                    say_something(chance, house)
                tick += 1
                scenes.position = tick * period
            if chance.random() < 0.4:
                say_something(chance, house)
                continue
            who = chance.choice(WHO)
            peer = Peer(who, who)
            await house.stage.take(chance.choice((PeerJoined(peer), PeerLeft(who), PeerSpeaking(who, True))))
            rooms.append((clock.time, house.stage.room))
        assert tick > 3
        await house.stage.close()
