"""Casting: selection, roles and an operator's wishes decide who is shown and heard."""

from __future__ import annotations

import unicodedata

import pytest

from egress.layouts.casting import cast, selected
from egress.layouts.matching import fits
from egress.model.look import RoleDoc
from egress.model.pipeline import Select
from egress.model.room import (
    ConnectionLost,
    Peer,
    PeerJoined,
    PeerSpeaking,
    Room,
    Track,
    TrackMuted,
    TrackPublished,
    TrackSource,
)
from tests.unit.gathering import people, share

EVERYONE = Select()


def full() -> Room:
    """A host and a guest with camera and microphone; the guest shares a screen with sound."""
    room = share(people(2, hosts=1), 1)
    return room.after(TrackPublished(Track("sa1", "p1", "audio", TrackSource.SCREEN_AUDIO)))


def test_everyone_is_shown_and_heard_unless_said_otherwise() -> None:
    casting = cast(full(), EVERYONE)
    assert casting.shown == full()
    assert casting.heard == ("a0", "a1", "sa1")
    assert casting.pans == {}


def test_roles_that_are_not_selected_are_neither_shown_nor_heard() -> None:
    casting = cast(full(), Select(roles=("guest",)))
    assert list(casting.shown.peers) == ["p1"]
    assert list(casting.shown.tracks) == ["a1", "v1", "s1", "sa1"]
    assert casting.heard == ("a1", "sa1")


def test_sources_choose_among_everyones_tracks() -> None:
    casting = cast(full(), Select(sources=("camera", "screen_audio")))
    assert list(casting.shown.peers) == ["p0", "p1"]
    assert list(casting.shown.tracks) == ["v0", "v1", "sa1"]
    assert casting.heard == ("sa1",)


def test_a_role_may_be_heard_and_not_seen_or_seen_and_not_heard() -> None:
    unseen = cast(full(), EVERYONE, {"host": RoleDoc(show=False)})
    assert list(unseen.shown.peers) == ["p1"]
    assert unseen.heard == ("a0", "a1", "sa1")
    unheard = cast(full(), EVERYONE, {"host": RoleDoc(hear=False)})
    assert list(unheard.shown.peers) == ["p0", "p1"]
    assert "a0" not in unheard.shown.tracks and "v0" in unheard.shown.tracks
    assert unheard.heard == ("a1", "sa1")


def test_who_an_operator_hides_is_not_seen_but_heard() -> None:
    casting = cast(full(), EVERYONE, {}, {"p1", "long gone"})
    assert list(casting.shown.peers) == ["p0"]
    assert list(casting.shown.tracks) == ["a0", "v0"]
    assert casting.heard == ("a0", "a1", "sa1")


def test_sound_of_a_role_may_be_on_one_side() -> None:
    casting = cast(full(), EVERYONE, {"host": RoleDoc(pan="left"), "guest": RoleDoc(pan="right")})
    assert casting.pans == {"a0": "left", "a1": "right", "sa1": "right"}
    assert cast(full(), EVERYONE, {"host": RoleDoc(pan="left", hear=False)}).pans == {}


def test_muted_tracks_stay_and_what_else_is_known_of_the_room_too() -> None:
    room = full().after(TrackMuted("a0", True)).after(PeerSpeaking("p0", True)).after(PeerSpeaking("p1", False))
    casting = cast(room.after(ConnectionLost("")), Select(roles=("host",)))
    assert casting.heard == ("a0",)
    assert casting.shown.tracks["a0"].muted
    assert casting.shown.speaking == {"p0": True}
    assert not casting.shown.connected


@pytest.mark.parametrize(
    ("name", "pattern", "fit"),
    [
        ("Ada", "ada", True),
        ("ADA", "Ada", True),
        ("Ada Lovelace", "ada*", True),
        ("Ada Lovelace", "ada", False),
        ("Ada", "a?a", True),
        ("Ada", "a?", False),
        ("Straße 1", "STRASSE ?", True),
        ("a.b", "a?b", True),
        ("axb", "a.b", False),
        ("[a]", "[A]", True),
        ("a", "[a]", False),
        ("two\nlines", "two*", True),
        ("", "*", True),
        ("", "?", False),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "*a*****************a*c", False),
        ("a" * 64, "*a" * 24 + "*b", False),
        ("a" * 63 + "b", "a*a" * 12 + "*b", True),
        ("abcab", "*ab*ab", True),
        ("ab", "*ab*ab", False),
        ("aba", "a*ba*a", False),
    ],
)
def test_names_fit_patterns(name: str, pattern: str, fit: bool) -> None:
    assert fits(name, pattern) is fit


def test_names_that_read_alike_are_alike() -> None:
    for form in ("NFC", "NFD"):
        assert fits(unicodedata.normalize(form, "Zoë Müller"), unicodedata.normalize("NFC", "zoë M?LLER"))
        assert fits("Zoë", unicodedata.normalize(form, "ZOË"))


def test_selection_by_name_takes_the_id_of_a_peer_without_a_name() -> None:
    select = Select(names=("ada*", "p?"))
    assert selected(Peer("x", "Ada L."), select)
    assert selected(Peer("p7", ""), select)
    assert not selected(Peer("q", "Grace"), select)
    assert selected(Peer("q", "Grace", "host"), Select(roles=("host",)))
    assert not selected(Peer("q", "Grace", "host"), Select(roles=("host",), names=("ada",)))


def test_nobody_may_be_left() -> None:
    room = Room("r").after(PeerJoined(Peer("p0", "Ada")))
    casting = cast(room, Select(names=("nobody",)))
    assert (dict(casting.shown.peers), casting.heard) == ({}, ())
