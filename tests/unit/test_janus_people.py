from __future__ import annotations

from egress.model.media import SECOND
from egress.model.room import (
    Peer,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    PeerSpeaking,
    RoomEvent,
    RoomWarning,
    TrackSource,
)
from egress.rooms.janus_messages import Feed, Participant, Stream
from egress.rooms.janus_people import GRACE, MOST_FEEDS, People


def audio(feed: Feed, mid: str = "a") -> Stream:
    return Stream(feed, mid, "audio", "opus")


def video(feed: Feed, mid: str = "v", codec: str = "vp8", description: str = "") -> Stream:
    return Stream(feed, mid, "video", codec, description)


class Told(People):
    """People that are listed and scouted in one go."""

    def see(
        self, *everyone: tuple[Feed, str], streams: tuple[Stream, ...] | None = None, now: int = 0
    ) -> list[RoomEvent]:
        self.listed(tuple(Participant(feed, display, True) for feed, display in everyone), now)
        feeds = tuple(feed for feed, _ in everyone)
        self.scouted(feeds, tuple(video(feed) for feed in feeds) if streams is None else streams)
        return self.settle(now)


ALICE, BOB = Peer("alice", "Alice"), Peer("bob", "Bob")


def test_who_publishes_joins_and_who_leaves_the_list_has_left() -> None:
    people = Told()
    assert people.see((1, "Alice"), (2, "Bob")) == [PeerJoined(ALICE), PeerJoined(BOB)]
    assert people.see((1, "Alice"), (2, "Bob")) == []
    assert people.see((2, "Bob")) == [PeerLeft("alice", "left")]
    assert people.peer_of(1) is None
    assert people.peer_of(2) == BOB


def test_who_only_listens_is_no_peer_but_who_has_published_stays_one() -> None:
    people = Told()
    people.listed((Participant(1, "Alice", False),), 0)
    assert people.settle(5 * SECOND) == []
    assert people.see((1, "Alice")) == [PeerJoined(ALICE)]
    people.listed((Participant(1, "Alice", False),), 0)
    assert people.settle(0) == []
    assert people.wanted() == {}


def test_a_peer_is_told_of_once_its_streams_are_known_or_take_too_long() -> None:
    people = People()
    people.listed((Participant(1, "Alice", True),), 0)
    assert people.settle(0) == []
    assert people.settle(SECOND) == [PeerJoined(ALICE)]


def test_names_are_made_safe_and_ids_are_never_shared() -> None:
    people = Told()
    events = people.see((1, "Ann"), (2, "ann"), (3, ""), (4, "\x00\u202e"), (5, "../../x"), (6, "x" * 500))
    peers = [event.peer for event in events if isinstance(event, PeerJoined)]
    assert len({peer.id for peer in peers}) == 6
    assert [peer.name for peer in peers][:4] == ["Ann", "ann", "Guest 1", "Guest 2"]
    assert all("/" not in peer.id and len(peer.id) <= 64 and len(peer.name) <= 64 for peer in peers)


def test_a_new_display_is_a_new_name_of_the_same_peer() -> None:
    people = Told()
    people.see((1, "Alice"))
    assert people.see((1, "Alice B.")) == [PeerChanged(Peer("alice", "Alice B."))]
    assert people.peer_of(1) == Peer("alice", "Alice B.")
    assert people.see((1, "")) == [], "an empty name is no name"


def test_who_talks_is_told_when_it_changes() -> None:
    people = Told()
    people.see((1, "Alice"))
    told: list[RoomEvent] = []
    for talking in (None, False, True, True, None, False):
        people.listed((Participant(1, "Alice", True, talking),), 0)
        told += people.settle(0)
    assert told == [PeerSpeaking("alice", False), PeerSpeaking("alice", True), PeerSpeaking("alice", False)]


def test_an_unsupported_codec_costs_only_its_own_stream() -> None:
    people = Told()
    events = people.see((1, "Alice"), (2, "Bob"), streams=(audio(1), video(1, codec="vp9"), video(2)))
    warnings = [event for event in events if isinstance(event, RoomWarning)]
    assert [(warning.peer, "VP9" in warning.message) for warning in warnings] == [("alice", True)]
    assert set(people.wanted()) == {(1, "a"), (2, "v")}
    assert people.settle(9) == [], "told once"


def test_a_second_feed_described_as_a_screen_belongs_to_the_one_of_that_name() -> None:
    people = Told()
    for other in ("Alice", "Alice (screen)", "Alice - Screen Share", "Alice's screen"):
        people = Told()
        streams = (video(1), video(2, description="My SCREEN"))
        assert people.see((2, other), (1, "Alice"), streams=streams) == [PeerJoined(ALICE)], other
        assert people.peer_of(2) == ALICE
        assert people.source_of(2, "v", "video") is TrackSource.SCREEN
        assert people.see((1, "Alice")) == [], "she stays when only her screen goes"


def test_a_screen_of_nobody_known_is_a_peer_of_its_own() -> None:
    people = Told()
    events = people.see((1, "Hall screen"), streams=(video(1),))
    assert events == [PeerJoined(Peer("hall-screen", "Hall screen"))]
    assert people.source_of(1, "v", "video") is TrackSource.SCREEN


def test_two_people_of_one_name_are_two() -> None:
    people = Told()
    events = people.see((1, "Alice"), (2, "Alice"))
    assert [event.peer.id for event in events if isinstance(event, PeerJoined)] == ["alice", "alice-2"]


def test_a_second_video_of_a_feed_is_a_screen_unless_the_first_says_it_is() -> None:
    people = Told()
    people.see(
        (1, "Alice"),
        (2, "Bob"),
        streams=(audio(1), video(1, "1"), video(1, "2"), video(2, "1", description="screen"), video(2, "2")),
    )
    sources = [people.source_of(feed, mid, "video") for feed, mid in ((1, "1"), (1, "2"), (2, "1"), (2, "2"))]
    assert sources == [TrackSource.CAMERA, TrackSource.SCREEN, TrackSource.SCREEN, TrackSource.CAMERA]
    assert people.source_of(1, "a", "audio") is TrackSource.MIC


def test_after_a_restart_a_peer_is_known_again_by_its_name() -> None:
    people = Told()
    people.see((1, "Alice"), (2, "Bob"))
    people.lost()
    assert people.settle(0) == []
    people.restored(0)
    assert people.see((91, "alice"), now=SECOND) == [PeerChanged(Peer("alice", "alice"))]
    assert people.peer_of(91) == Peer("alice", "alice")
    assert people.settle(GRACE - 1) == []
    assert people.settle(GRACE) == [PeerLeft("bob", "did not come back")]


def test_names_that_fit_two_are_not_guessed_at_but_feeds_that_stayed_are_known() -> None:
    people = Told()
    people.see((1, "Alice"), (2, "Alice"))
    people.lost()
    people.restored(0)
    assert people.see((2, "Alice"), (1, "Alice")) == []
    assert people.peer_of(1) == ALICE
    people.lost()
    people.restored(0)
    events = people.see((91, "Alice"), (92, "Alice"))
    assert all(isinstance(event, PeerJoined) for event in events)
    assert len(events) == 2


def test_the_grace_begins_when_the_room_is_reached_again() -> None:
    people = Told()
    people.see((1, "Alice"))
    people.lost()
    assert people.settle(1000 * SECOND) == []
    people.restored(1000 * SECOND)
    assert people.settle(1001 * SECOND) == []
    assert people.settle(1010 * SECOND) == [PeerLeft("alice", "did not come back")]


def test_a_peer_that_comes_back_under_its_name_has_its_id_again() -> None:
    people = Told()
    people.see((1, "Alice"))
    people.see()
    assert people.see((2, "Alice")) == [PeerJoined(ALICE)]


def test_a_crowd_is_received_only_as_far_as_an_offer_reaches() -> None:
    people = Told()
    events = people.see(*((feed, f"P{feed}") for feed in range(1, 200)))
    assert len(people.wanted()) == MOST_FEEDS
    assert sum(isinstance(event, RoomWarning) for event in events) == 1
    assert sum(isinstance(event, PeerJoined) for event in events) == 199


def test_who_is_back_before_its_former_self_has_gone_keeps_its_place() -> None:
    people = Told()
    people.see((1, "Alice"))
    assert people.see((2, "Alice")) == [], "gone and back between two lists"
    assert people.peer_of(2) == ALICE
    people.listed((Participant(2, "Alice", False), Participant(3, "Alice", True)), 0)
    people.scouted((3,), (video(3),))
    assert people.settle(0) == [], "still listed, but publishing nothing any more"
    assert people.peer_of(3) == ALICE
    assert people.see((3, "Alice")) == []
    assert people.see() == [PeerLeft("alice", "left")]
