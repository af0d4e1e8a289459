from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from egress.model.clock import monotonic
from egress.model.errors import RequestError
from egress.model.media import MILLISECOND, SECOND
from egress.model.room import Peer, PeerJoined, PeerLeft, RoomEvent, TrackPublished
from egress.rooms import livetrack, local
from egress.rooms.base import Identity, RoomURL
from egress.rooms.livetrack import LiveTrack
from egress.rooms.local import LocalConnector, LocalSession
from egress.rooms.publication import Names, Publication
from egress.rooms.whip import Visitor
from tests.unit.test_sdp import GOOD


def _peer(taken: frozenset[str] = frozenset(), **said: str) -> Peer:
    return Names().identify(Visitor(**said), taken)[0]


def test_peer_is_what_it_says_when_that_is_harmless() -> None:
    assert _peer(peer="ada", name="Ada Lovelace", role="host") == Peer("ada", "Ada Lovelace", "host")


@pytest.mark.parametrize(
    "said, expected",
    [
        ("../../etc/passwd", "etc-passwd"),
        ("a b\tc", "a-b-c"),
        ("Zoë ☃", "Zoe"),
        (".hidden", "hidden"),
        ("x" * 300, "x" * 64),
        ("a\x00\r\nb", "a-b"),
    ],
)
def test_ids_are_made_safe_and_bounded(said: str, expected: str) -> None:
    assert _peer(peer=said).id == expected


def test_names_keep_their_letters_and_lose_control_and_direction_characters() -> None:
    assert _peer(peer="x", name=" Zoë\u202e \x07\r\n李  ").name == "Zoë 李"
    assert len(_peer(peer="x", name="n" * 500).name) == 64
    assert _peer(peer="x", role="HOST!! and\nmore").role == "host-and-more"
    assert _peer(peer="x", role="\x00").role == "guest"


def test_who_gives_neither_id_nor_name_gets_an_id_that_nobody_has() -> None:
    names = Names()
    taken: set[str] = set()
    for _ in range(3):
        peer, _ = names.identify(Visitor(), taken)
        assert peer.id not in taken and peer.name
        taken.add(peer.id)


def test_who_gives_only_a_name_is_known_by_it_again() -> None:
    first = _peer(name="Grace Hopper")
    assert first == Peer("grace-hopper", "Grace Hopper", "guest")
    assert _peer(name="grace  HOPPER", taken=frozenset({first.id})).id == first.id
    for name in ("🎉", "李", "Zoë", "n" * 500):
        again = {Names().identify(Visitor(name=name), {f"x{turn}"})[0].id for turn in range(3)}
        assert len(again) == 1 and all(0 < len(id) <= 64 and id.isascii() for id in again)


def test_different_names_never_become_one_id() -> None:
    alike = ("Zoë", "Zoe", "🎉", "☃", "a/b", "a b", "李", "王", "x" * 63, "x" * 64)
    assert len({_peer(name=name).id for name in alike}) == len(alike)


def test_who_gives_an_id_is_known_by_it_again() -> None:
    assert _peer(peer="ada", taken=frozenset({"ada"})).id == "ada"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("https://example.org/ada.png?size=2", True),
        ("HTTP://example.org/a", True),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://example.org/a b", False),
        ("https://example.org/\n", False),
        ("https://example.org/" + "x" * 1000, False),
        ("ada.png", False),
    ],
)
def test_an_avatar_is_an_address_of_the_web_or_none(said: str, kept: bool) -> None:
    for who in ({"peer": "ada"}, {"name": "Ada"}, {}):
        peer, _ = Names().identify(Visitor(avatar=said, **who), ())
        assert peer.avatar == (said if kept else "")


def test_source_is_camera_unless_it_says_screen() -> None:
    assert [Names().identify(Visitor(source=said), ())[1] for said in (None, "screen", "SCREEN ", "x")] == [
        "camera",
        "screen",
        "screen",
        "camera",
    ]


class _Media:
    """A received track whose packet count a test sets."""

    def __init__(self, kind: str) -> None:
        self.kind, self.codec, self.ended, self.packets = kind, None, False, 0


async def _couple(source: str = "camera") -> tuple[Publication, LiveTrack, LiveTrack]:
    place = Publication("id", Peer("ada", "Ada"), source, reorder=1)
    audio, video = LiveTrack(_Media("audio")), LiveTrack(_Media("video"))  # type: ignore[arg-type]
    place.tracks += [audio, video]
    for live in place.tracks:
        live.publish(place)
    return place, audio, video


def _run(place: Publication, live: LiveTrack, start: int, milliseconds: int, *sending: LiveTrack) -> int | None:
    """Milliseconds until `live` is found silent, while `sending` go on; None when it never is."""
    for elapsed in range(0, milliseconds, 50):
        now = start + elapsed * MILLISECOND
        for other in sending:
            other.media.packets += 1  # type: ignore[attr-defined]
        place.listen(now)
        if live.silent(now, place):
            return elapsed
    return None


async def test_camera_that_stops_while_the_sound_goes_on_is_muted_within_300_ms() -> None:
    place, audio, video = await _couple()
    start = video.heard
    assert _run(place, video, start, 1000, audio, video) is None
    silent = _run(place, video, start + SECOND, 1000, audio)
    assert silent is not None and 200 <= silent <= 300


async def test_sound_may_be_sparse_before_it_counts_as_muted() -> None:
    place, audio, video = await _couple()
    start = audio.heard
    assert _run(place, audio, start, 500, audio, video) is None
    silent = _run(place, audio, start + SECOND // 2, 3000, video)
    assert silent is not None and 950 <= silent <= 1050


async def test_when_all_stops_at_once_the_network_is_given_a_second() -> None:
    place, audio, video = await _couple()
    start = video.heard
    _run(place, video, start, 500, audio, video)
    silent = _run(place, video, start + SECOND // 2, 3000)
    assert silent is not None and 950 <= silent <= 1050


async def test_shared_screen_may_stand_still() -> None:
    place, audio, video = await _couple("screen")
    start = video.heard
    _run(place, video, start, 200, audio, video)
    assert _run(place, video, start + SECOND // 5, 4500, audio) is None
    assert video.track is not None and video.track.source == "screen"
    assert audio.track is not None and audio.track.source == "screen_audio"


async def test_tracks_get_ids_that_never_come_again_and_a_second_video_is_a_screen() -> None:
    place, _, _ = await _couple()
    other, _, _ = await _couple()
    third = LiveTrack(_Media("video"))  # type: ignore[arg-type]
    place.tracks.append(third)
    third.publish(place)
    ids = [live.track.id for live in (*place.tracks, *other.tracks) if live.track]
    assert len(set(ids)) == 5
    assert third.track is not None and third.track.source == "screen"


def test_bounds_on_silence_leave_room_for_the_scenarios() -> None:
    assert livetrack.VIDEO_PAUSE < 300 * MILLISECOND
    assert livetrack.AUDIO_PAUSE > 400 * MILLISECOND


async def test_a_room_that_cannot_be_reached_by_http_is_refused_before_it_opens() -> None:
    with pytest.raises(RequestError, match=r"without '/'.*local:etc-passwd"):
        async with LocalConnector().join(RoomURL.parse("local:../../etc/passwd"), Identity()):
            pass


async def test_option_that_is_no_number_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="port 'http' is not a whole number"):
        async with LocalConnector().join(RoomURL.parse("local:x"), Identity(options={"port": "http"})):
            pass


@pytest.fixture
async def session() -> AsyncIterator[LocalSession]:
    made = LocalSession("x", 8, 1)
    yield made
    await made.close("done")


async def _arrive(session: LocalSession, **said: str) -> Publication:
    id, _ = await session.admit(Visitor(**said), GOOD)
    arrived = session._publications[id]
    arrived._connection._transport.heard = monotonic()
    arrived._on_state("connected")
    return arrived


def _told(session: LocalSession) -> list[RoomEvent]:
    told = list(session._events._events)
    session._events._events.clear()
    return told


async def test_same_name_coming_again_replaces_itself_and_stays_the_same_peer(session: LocalSession) -> None:
    first = await _arrive(session, name="Ada")
    other = await _arrive(session, name="Grace")
    _told(session)
    again = await _arrive(session, name="Ada")
    assert again.peer == first.peer
    assert set(session._publications) == {other.id, again.id}
    told = _told(session)
    assert not [event for event in told if isinstance(event, PeerJoined | PeerLeft)]
    assert len([event for event in told if isinstance(event, TrackPublished)]) == 2


async def test_an_outage_is_outlived_and_silence_without_goodbye_ends_in_leaving(session: LocalSession) -> None:
    ada = await _arrive(session, name="Ada")
    session.look(monotonic())
    ada._on_state("disconnected")
    session.look(ada.heard + local._SILENCE - SECOND)
    assert ada.id in session._publications
    ada._on_state("connected")
    assert not [event for event in _told(session) if isinstance(event, PeerLeft)]
    session.look(ada.heard + local._SILENCE + SECOND)
    (left,) = [event for event in _told(session) if isinstance(event, PeerLeft)]
    assert left == PeerLeft("ada", "nothing has been heard for 15 s")


@pytest.mark.parametrize("state", ["failed", "closed"])
async def test_a_connection_that_is_over_ends_at_once(session: LocalSession, state: str) -> None:
    await _arrive(session, name="Ada")
    next(iter(session._publications.values()))._on_state(state)
    assert isinstance(_told(session)[-1], PeerLeft)


async def test_counters_are_sums_over_everyone_there_was(session: LocalSession) -> None:
    first = await _arrive(session, name="Ada")
    second = await _arrive(session, name="Grace")
    first.tracks[0].media._nacks = 3
    second.tracks[0].media._nacks = 4
    second._connection._transport.unprotected = 5
    await session.dismiss(first.id)
    again = await _arrive(session, name="Ada")
    again.tracks[0].media._nacks = 1
    counted = session.stats()
    assert (counted["nacks"], counted["unprotected"], counted["turned_away"]) == (8, 5, 0)
    assert {"packets", "lost", "recovered", "plis", "dropped", "unrouted"} <= set(counted)
    assert "waiting" not in counted and "rtt_us" not in counted
