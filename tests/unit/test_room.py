from egress.model.room import (
    ConnectionLost,
    ConnectionRestored,
    Peer,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    PeerSpeaking,
    Room,
    RoomClosed,
    Track,
    TrackMuted,
    TrackPublished,
    TrackSource,
    TrackUnpublished,
)

ADA = Peer("ada", "Ada", "host")
CAMERA = Track("ada/1", "ada", "video", TrackSource.CAMERA)
MIC = Track("ada/2", "ada", "audio", TrackSource.MIC)


def after(*events):
    room = Room("standup")
    for event in events:
        room = room.after(event)
    return room


def test_a_peer_joins_and_publishes():
    room = after(PeerJoined(ADA), TrackPublished(CAMERA), TrackPublished(MIC))
    assert room.peers["ada"] == ADA
    assert room.tracks_of("ada") == (CAMERA, MIC)
    assert room.tracks_of("ada", "audio") == (MIC,)


def test_a_leaving_peer_takes_its_tracks_along():
    room = after(PeerJoined(ADA), TrackPublished(CAMERA), PeerLeft("ada"))
    assert not room.peers and not room.tracks


def test_a_rejoining_peer_keeps_its_place():
    grace = Peer("grace", "Grace")
    room = after(PeerJoined(ADA), PeerJoined(grace), PeerJoined(Peer("ada", "Ada L.", "host")))
    assert list(room.peers) == ["ada", "grace"]
    assert room.peers["ada"].name == "Ada L."


def test_events_about_strangers_change_nothing():
    room = Room("standup")
    for event in (TrackPublished(CAMERA), TrackMuted("x", True), TrackUnpublished("x"), PeerLeft("x")):
        assert not room.after(event).peers and not room.after(event).tracks


def test_muting_is_remembered_on_the_track():
    room = after(PeerJoined(ADA), TrackPublished(CAMERA), TrackMuted("ada/1", True))
    assert room.tracks["ada/1"].muted
    assert not room.after(TrackMuted("ada/1", False)).tracks["ada/1"].muted


def test_connection_and_closing_are_part_of_the_room():
    assert not after(ConnectionLost("ice")).connected
    assert after(ConnectionLost("ice"), ConnectionRestored()).connected
    assert after(RoomClosed("over")).closed == "over"


def test_folding_leaves_the_old_room_untouched():
    before = after(PeerJoined(ADA))
    before.after(PeerLeft("ada"))
    assert "ada" in before.peers


def test_a_change_of_name_keeps_tracks_and_place():
    room = after(PeerJoined(ADA), TrackPublished(CAMERA), PeerChanged(Peer("ada", "Countess", "host")))
    assert room.peers["ada"].name == "Countess" and room.tracks_of("ada") == (CAMERA,)
    assert not Room("standup").after(PeerChanged(ADA)).peers


def test_who_speaks_is_known_only_of_those_the_server_tells_about():
    room = after(PeerJoined(ADA), PeerSpeaking("ada", True), PeerSpeaking("stranger", True))
    assert room.speaking == {"ada": True}
    assert not room.after(PeerLeft("ada")).speaking
