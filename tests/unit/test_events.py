"""Events of a visit: in order, to the end, and bounded by who puts them in."""

from __future__ import annotations

from egress.model.room import Peer, PeerJoined, PeerLeft, RoomClosed
from egress.rooms.events import MOST_WAITING, Events


async def test_events_come_in_order_and_end_with_the_room() -> None:
    events = Events()
    put = [PeerJoined(Peer("ada", "Ada")), PeerLeft("ada"), RoomClosed("over")]
    for event in (*put, PeerLeft("late")):
        events.put(event)
    assert [event async for event in events.follow()] == put


def test_a_queue_that_nobody_takes_from_is_full() -> None:
    events = Events()
    for _ in range(MOST_WAITING):
        assert not events.full
        events.put(PeerLeft("x"))
    assert events.full
