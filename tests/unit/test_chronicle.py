"""The chronicle of a made-up room: who is taken part of comes and goes, others are only announced."""

from __future__ import annotations

from typing import Any, cast

from egress.chronicle import Chronicle
from egress.model.room import Peer, PeerChanged, PeerJoined, PeerLeft, RoomEvent
from egress.outlets import Outlets
from egress.sinks.base import Mark
from egress.storage.attendance import Attendance
from tests.unit.test_stage import House

HOST, GUEST = Peer("1", "Ann", "host"), Peer("2", "Bob", "guest")


class Book:
    """A chronicle of a room, of which only hosts are selected, and what was written into it."""

    def __init__(self) -> None:
        self.house = House(select={"roles": ["host"]})
        self.marks: list[tuple[str, str]] = []
        self.times: list[int] = []
        self.events: list[dict[str, Any]] = []
        self.attendance = Attendance()
        self.chronicle = Chronicle(
            self.house.clock,
            self.house.stage,
            cast(Outlets, self),
            self.attendance,
            self.events.append,
            delay=0,
        )

    def mark(self, mark: Mark) -> None:
        self.marks.append((mark.kind, mark.text))
        self.times.append(mark.at)

    async def happen(self, *events: RoomEvent) -> None:
        for event in events:
            before = self.house.stage.room
            await self.house.stage.take(event)
            self.chronicle.tell(event, before)


async def test_only_who_is_selected_comes_and_goes_in_chapters_and_attendance() -> None:
    book = Book()
    await book.happen(PeerJoined(HOST), PeerJoined(GUEST), PeerLeft("2"), PeerLeft("1"), PeerLeft("1"))
    assert book.marks == [("join", "Ann"), ("leave", "Ann")]
    assert [(row["name"], row["left"] is None) for row in book.attendance.table()] == [("Ann", False)]
    assert [event["event"] for event in book.events] == ["joined", "joined", "left", "left", "left"]


async def test_who_changes_into_another_role_comes_or_goes_with_it() -> None:
    book = Book()
    await book.happen(PeerJoined(GUEST), PeerChanged(Peer("2", "Bob", "host")), PeerChanged(Peer("2", "Bo", "host")))
    assert book.marks == [("join", "Bob")]
    await book.happen(PeerChanged(GUEST), PeerLeft("2"))
    assert book.marks == [("join", "Bob"), ("leave", "Bo")]
    assert [row["left"] is None for row in book.attendance.table()] == [False]
    assert [event["event"] for event in book.events] == ["joined", "changed", "changed", "changed", "left"]


async def test_who_takes_the_floor_is_marked_once_and_that_nobody_has_it_any_more() -> None:
    book = Book()
    await book.happen(PeerJoined(HOST), PeerJoined(GUEST))
    for peer, since in (("1", 5), ("1", 5), ("2", 9), (None, 9), (None, 12)):
        book.chronicle.spoke(peer, since)
    assert book.marks[1:] == [("speaker", "Ann"), ("speaker", "Bob"), ("speaker", "")]
    assert book.times[1:3] == [5, 9]
