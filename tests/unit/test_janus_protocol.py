"""Transcripts of conversations with Janus 1.1.2, as recorded, with its errors and with what no sane server says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from egress.model.errors import RoomRefused, RoomUnreachable
from egress.model.janus_address import read
from egress.model.media import MILLISECOND, SECOND
from egress.rooms.janus_messages import Line, Participant
from egress.rooms.janus_news import (
    Candidate,
    Destroyed,
    Entered,
    Listed,
    Lost,
    Offered,
    Output,
    Refused,
    Scouted,
    Send,
    Switched,
)
from egress.rooms.janus_protocol import KEEPALIVE_EVERY, LIST_EVERY, PATIENCE, VideoRoom
from egress.rooms.janus_refusals import explain

SESSION, HANDLE, SCOUT = 11, 22, 33
SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=setup:actpass\r\na=mid:0\r\na=msid:janus janus0\r\n"
HOST = "a=candidate:1 1 udp 2015363327 192.0.2.2 22121 typ host\r\n"


class Server:
    """Plays the server: takes what a VideoRoom sends, and answers in Janus's words."""

    def __init__(self, room: int | str = 1001, **secrets: str) -> None:
        self.room = VideoRoom(room, **secrets)
        self.now = 0
        self.sent: list[dict[str, Any]] = []
        self.news: list[Output] = []

    def take(self, outputs: list[Output]) -> Server:
        for output in outputs:
            if isinstance(output, Send):
                self.sent.append(output.message)
            else:
                self.news.append(output)
        return self

    def begin(self) -> Server:
        return self.take(self.room.begin(self.now))

    def say(self, **message: Any) -> Server:
        return self.take(self.room.receive(message, self.now))

    def pop(self) -> dict[str, Any]:
        return self.sent.pop(0)

    def tick(self, later: int = 0) -> Server:
        self.now += later
        return self.take(self.room.tick(self.now))

    def success(self, id: int | None = None) -> Server:
        asked = self.pop()
        data = {} if id is None else {"data": {"id": id}}
        return self.say(janus="success", transaction=asked["transaction"], session_id=SESSION, **data)

    def fail(self, code: int, reason: str) -> Server:
        return self.say(janus="error", transaction=self.pop()["transaction"], error={"code": code, "reason": reason})

    def answer(self, data: Mapping[str, Any], *, sdp: str | None = None) -> Server:
        asked = self.pop()
        jsep = {} if sdp is None else {"jsep": {"type": "offer", "sdp": sdp}}
        sender, transaction = asked["handle_id"], asked["transaction"]
        return self.say(janus="event", transaction=transaction, sender=sender, plugindata={"data": data}, **jsep)

    def event(self, data: Mapping[str, Any], *, sdp: str | None = None) -> Server:
        jsep = {} if sdp is None else {"jsep": {"type": "offer", "sdp": sdp}}
        return self.say(janus="event", sender=HANDLE, plugindata={"data": data}, **jsep)

    def list(self, *participants: Any) -> Server:
        return self.answer({"videoroom": "participants", "room": 1001, "participants": list(participants)})

    def refuse(self, code: int, reason: str) -> Server:
        return self.answer({"videoroom": "event", "error_code": code, "error": reason})

    def entered(self, *participants: Any) -> Server:
        self.begin().success(SESSION).success(HANDLE).list(*participants)
        return self.refuse(428, "No such feed (4503599627370497)")

    def subscribed(self) -> Server:
        """In a room with one audio stream, subscribed to it."""
        self.entered(person(5)).success(SCOUT).answer(attached(stream("0", 5, "0")))
        self.pop()
        self.take(self.room.want({(5, "0"): (1, 2)}, self.now))
        self.answer(attached(stream("0", 5, "0")), sdp=SDP + HOST)
        self.take(self.room.answered("v=0 answer", self.now))
        self.answer({"videoroom": "event", "started": "ok"})
        self.news.clear()
        return self

    @property
    def last(self) -> Output:
        return self.news[-1]


def person(feed: int | str, display: str = "Alice", **more: Any) -> dict[str, Any]:
    return {"id": feed, "display": display, "publisher": True, **more}


def stream(mid: str, feed: int | str, feed_mid: str, **more: Any) -> dict[str, Any]:
    told = {"type": "audio", "codec": "opus", "active": True, "mid": mid, "feed_id": feed, "feed_mid": feed_mid}
    return {**told, **more}


def attached(*streams: Any) -> dict[str, Any]:
    return {"videoroom": "attached", "room": 1001, "streams": list(streams)}


def test_joining_finds_the_room_and_knocks_without_being_a_participant() -> None:
    server = Server(pin="sesame", token="tok", api_secret="api").begin()
    create = server.sent[0]
    assert (create["janus"], create["apisecret"], create["token"]) == ("create", "api", "tok")
    server.success(SESSION)
    assert (server.sent[0]["janus"], server.sent[0]["plugin"]) == ("attach", "janus.plugin.videoroom")
    server.success(HANDLE)
    assert server.sent[0]["body"] == {"request": "listparticipants", "room": 1001}
    assert (server.sent[0]["session_id"], server.sent[0]["handle_id"]) == (SESSION, HANDLE)
    server.list()
    knock = server.sent[0]["body"]
    assert (knock["request"], knock["ptype"], knock["pin"]) == ("join", "subscriber", "sesame")
    server.say(janus="ack", transaction=server.sent[0]["transaction"])
    assert server.news == [Listed(())], "an ack is no answer yet"
    server.refuse(428, "No such feed")
    assert server.last == Entered()
    assert server.sent == []


def test_a_room_is_asked_for_by_number_or_by_text_as_the_address_says() -> None:
    server = Server("1001").begin().success(SESSION).success(HANDLE)
    assert server.sent[0]["body"]["room"] == "1001"
    server.list()
    assert isinstance(server.sent[0]["body"]["streams"][0]["feed"], str)


@pytest.mark.parametrize(
    ("code", "reason", "says"),
    [
        (433, "Unauthorized (wrong pin)", "janus_pin"),
        (429, "Missing mandatory element (pin)", "needs a pin: set janus_pin"),
        (432, "Maximum number of publishers already reached", "is full"),
    ],
)
def test_a_room_that_does_not_let_us_in_says_so_at_the_door(code: int, reason: str, says: str) -> None:
    server = Server().begin().success(SESSION).success(HANDLE).list().refuse(code, reason)
    assert isinstance(server.last, Refused)
    error = explain(server.last, read("janus+ws://host/1001"))
    assert isinstance(error, RoomRefused)
    assert says in error.message


@pytest.mark.parametrize(
    ("address", "code", "reason", "says"),
    [
        ("janus+ws://host/1001", 426, "No such room (1001)", "does not exist"),
        ("janus+ws://host/1001", 426, "No such room (1001)", "?strings=true"),
        ("janus+ws://host/1001", 430, "Invalid element type (room should be a string)", "add ?strings=true"),
        ("janus+ws://host/x", 430, "Invalid element type (room should be a positive integer)", "numbers"),
        ("janus+ws://host/1001", 499, "something new", "something new (code 499)"),
    ],
)
def test_a_room_that_is_not_there_is_refused_with_the_fix(address: str, code: int, reason: str, says: str) -> None:
    server = Server().begin().success(SESSION).success(HANDLE).refuse(code, reason)
    assert isinstance(server.last, Refused)
    assert says in explain(server.last, read(address)).message


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (403, RoomRefused, "janus_api_secret"),
        (403, RoomRefused, "janus_token"),
        (472, RoomUnreachable, "try again later"),
    ],
)
def test_a_server_that_takes_no_session_is_named_with_the_setting(code: int, kind: type, says: str) -> None:
    server = Server().begin().fail(code, "Unauthorized request (wrong or missing secret/token)")
    assert isinstance(server.last, Refused)
    error = explain(server.last, read("janus+ws://host/1001"))
    assert isinstance(error, kind)
    assert says in error.message


def test_a_server_without_the_plugin_is_told() -> None:
    server = Server().begin().success(SESSION).fail(460, "No such plugin 'janus.plugin.videoroom'")
    assert isinstance(server.last, Refused)
    assert "has no VideoRoom" in explain(server.last, read("janus+ws://host/1001")).message


def test_what_feeds_publish_is_learned_by_a_scout_that_leaves_nothing_behind() -> None:
    server = Server().entered(person(5), person(6, publisher=False))
    assert server.sent[0]["janus"] == "attach"
    server.success(SCOUT)
    assert server.sent[0]["handle_id"] == SCOUT
    assert server.sent[0]["body"]["streams"] == [{"feed": 5}]
    server.answer(
        attached(stream("0", 5, "a"), stream("1", 5, "v", type="video", codec="VP9", feed_description="Screen"))
    )
    assert isinstance(server.last, Scouted)
    audio, video = server.last.streams
    assert (audio.mid, audio.supported, audio.screen) == ("a", True, False)
    assert (video.mid, video.supported, video.screen) == ("v", False, True)
    assert (server.sent[0]["janus"], server.sent[0]["handle_id"]) == ("detach", SCOUT)


def test_the_first_subscription_is_one_join_that_begins_in_the_wanted_layer() -> None:
    server = Server().entered()
    server.take(server.room.want({(5, "a"): (0, 2), (6, "v"): (1, 2)}, 0))
    body = server.sent[0]["body"]
    assert (body["request"], body["ptype"]) == ("join", "subscriber")
    assert body["streams"] == [
        {"feed": 5, "mid": "a", "substream": 0, "temporal": 2},
        {"feed": 6, "mid": "v", "substream": 1, "temporal": 2},
    ]


def test_an_offer_is_made_fit_and_answered_with_start() -> None:
    server = Server().entered()
    server.take(server.room.want({(5, "a"): (0, 2)}, 0))
    server.answer(attached(stream("0", 5, "a")), sdp=SDP + HOST)
    offer = server.last
    assert isinstance(offer, Offered)
    assert offer.lines == (Line("0", 5, "a"),)
    assert "a=setup:active\r\n" in offer.sdp
    assert "actpass" not in offer.sdp
    assert "a=msid:5 a\r\n" in offer.sdp
    assert "janus0" not in offer.sdp
    server.take(server.room.answered("v=0 answer", 0))
    assert server.sent[0]["body"] == {"request": "start"}
    assert server.sent[0]["jsep"] == {"type": "answer", "sdp": "v=0 answer"}


def test_an_offer_without_candidates_waits_for_one_and_the_rest_trickles() -> None:
    server = Server().entered()
    server.take(server.room.want({(5, "a"): (0, 2)}, 0))
    server.answer(attached(stream("0", 5, "a")), sdp=SDP)
    assert not isinstance(server.last, Offered)
    server.say(janus="trickle", sender=HANDLE, candidate={"candidate": HOST[2:].strip(), "sdpMid": "0"})
    assert isinstance(server.last, Offered)
    assert HOST in server.last.sdp
    server.take(server.room.answered("v=0", 0))
    server.say(janus="trickle", sender=HANDLE, candidate={"candidate": "candidate:2 1 udp 1 192.0.2.3 5 typ host"})
    assert server.last == Candidate("candidate:2 1 udp 1 192.0.2.3 5 typ host")
    server.say(janus="trickle", sender=HANDLE, candidate={"completed": True})
    assert isinstance(server.last, Candidate)


def test_candidates_that_come_before_the_offer_are_kept() -> None:
    server = Server().entered()
    server.take(server.room.want({(5, "a"): (0, 2)}, 0))
    server.say(janus="trickle", sender=HANDLE, candidate={"candidate": HOST[2:].strip()})
    server.answer(attached(stream("0", 5, "a")), sdp=SDP)
    assert isinstance(server.last, Offered)
    assert HOST in server.last.sdp


def test_who_comes_later_is_added_by_an_update_and_who_goes_is_taken_off_first() -> None:
    server = Server().subscribed()
    server.take(server.room.want({(7, "v"): (1, 2)}, 0))
    assert server.sent[0]["body"] == {"request": "update", "unsubscribe": [{"sub_mid": "0"}]}
    server.answer({"videoroom": "updated", "streams": [{"mid": "0", "active": False}]}, sdp=SDP)
    assert isinstance(server.last, Offered)
    assert server.last.lines == ()
    server.take(server.room.answered("v=0", 0))
    assert [message["body"]["request"] for message in server.sent] == ["start"], "one step at a time"
    server.answer({"videoroom": "event", "started": "ok"})
    update = server.sent[0]["body"]
    assert update["subscribe"] == [{"feed": 7, "mid": "v", "substream": 1, "temporal": 2}]


def test_an_offer_janus_makes_by_itself_is_answered_too() -> None:
    server = Server().subscribed().event({"videoroom": "updated", "streams": [{"mid": "0", "active": False}]}, sdp=SDP)
    assert isinstance(server.last, Offered)
    assert server.last.lines == ()


def test_a_feed_that_left_meanwhile_leads_to_another_look_and_another_try() -> None:
    server = Server().entered(person(5))
    server.sent.clear()
    server.take(server.room.want({(5, "a"): (0, 2)}, 0))
    server.refuse(428, "No such feed (5)")
    assert not server.room.over
    server.tick()
    assert server.sent[0]["body"]["request"] == "listparticipants"
    server.tick(SECOND // 2)
    assert [message["body"]["request"] for message in server.sent if "body" in message][-1] == "join"


def test_an_update_put_off_is_made_again() -> None:
    server = Server().subscribed()
    server.take(server.room.want({(5, "0"): (1, 2), (7, "v"): (1, 2)}, 0))
    server.answer({"videoroom": "updating"})
    assert server.sent == []
    server.tick(SECOND // 2)
    assert server.sent[-1]["body"]["request"] == "update"


def test_what_janus_has_forgotten_is_not_taken_off_again_and_again() -> None:
    server = Server().subscribed()
    server.take(server.room.want({}, 0))
    server.answer({"videoroom": "updated", "room": 1001})
    server.tick(200 * MILLISECOND)
    assert all(message.get("body", {}).get("request") != "update" for message in server.sent)


def test_layers_are_configured_only_where_there_is_a_section() -> None:
    server = Server().subscribed()
    server.take(server.room.layer("0", 1, 2, 0))
    assert server.pop()["body"] == {"request": "configure", "streams": [{"mid": "0", "substream": 1, "temporal": 2}]}
    server.take(server.room.layer("9", 1, 2, 0))
    assert server.sent == []
    server.event({"videoroom": "event", "mid": "0", "substream": 1})
    assert server.last == Switched("0", 1)


def test_the_list_is_asked_for_often_and_the_session_kept_alive() -> None:
    server = Server().entered()
    server.tick(LIST_EVERY)
    assert server.sent[0]["body"]["request"] == "listparticipants"
    server.tick(LIST_EVERY)
    assert len(server.sent) == 1, "not again before it is answered"
    server.list(person(5, "Bob", talking=True))
    assert server.last == Listed((Participant(5, "Bob", True, True),))
    assert server.sent[0]["janus"] == "attach", "somebody new is scouted at once"
    server.success(SCOUT).answer(attached()).sent.clear()
    server.tick(KEEPALIVE_EVERY)
    assert any(message["janus"] == "keepalive" for message in server.sent)


def test_a_server_that_falls_silent_is_lost() -> None:
    server = Server().entered().tick(LIST_EVERY).tick(PATIENCE)
    assert server.room.over is False
    server.tick(1)
    assert isinstance(server.last, Lost)
    assert server.room.over


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"janus": "hangup", "sender": HANDLE, "reason": "ICE failed"}, "hung up: ICE failed"),
        ({"janus": "detached", "sender": HANDLE}, "detached"),
        ({"janus": "timeout", "session_id": SESSION}, "time out"),
        ({"janus": "error", "error": {"code": 458, "reason": "No such session"}}, "forgotten our session"),
    ],
)
def test_the_end_of_a_conversation_is_told(message: dict[str, Any], says: str) -> None:
    server = Server().subscribed().say(**message)
    assert isinstance(server.last, Lost)
    assert says in server.last.reason


def test_the_end_of_a_scout_is_nobodys_business() -> None:
    server = Server().subscribed().say(janus="detached", sender=SCOUT).say(janus="hangup", sender=SCOUT)
    assert server.news == []


@pytest.mark.parametrize("data", [{"videoroom": "destroyed", "room": 1001}, {"videoroom": "event", "kicked": 5}])
def test_a_room_that_is_over_is_told(data: dict[str, Any]) -> None:
    assert isinstance(Server().subscribed().event(data).last, Destroyed)


def test_a_room_that_vanishes_from_a_living_server_was_destroyed() -> None:
    server = Server().entered().tick(LIST_EVERY).refuse(426, "No such room (1001)")
    assert isinstance(server.last, Destroyed)


def test_a_session_is_claimed_over_a_new_connection() -> None:
    server = Server().subscribed()
    server.take(server.room.reclaim(0))
    assert (server.sent[0]["janus"], server.sent[0]["session_id"]) == ("claim", SESSION)
    server.success()
    assert server.sent[0]["body"]["request"] == "listparticipants"
    assert not server.room.over


def test_a_session_that_is_not_known_any_more_is_lost() -> None:
    server = Server().subscribed()
    server.take(server.room.reclaim(0))
    assert isinstance(server.fail(458, "No such session").last, Lost)


def test_a_session_lost_in_the_middle_of_a_request_is_not_claimed() -> None:
    server = Server().entered()
    server.take(server.room.want({(5, "a"): (0, 2)}, 0))
    assert isinstance(server.take(server.room.reclaim(0)).last, Lost)


def test_leaving_destroys_the_session_and_says_nothing_more() -> None:
    server = Server(api_secret="api").subscribed()
    server.take(server.room.leave(0))
    assert (server.sent[-1]["janus"], server.sent[-1]["session_id"]) == ("destroy", SESSION)
    assert server.tick(SECOND).say(janus="hangup", sender=HANDLE).news == []


GARBAGE: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {"janus": None},
    {"janus": ["event"]},
    {"janus": "event"},
    {"janus": "event", "sender": HANDLE},
    {"janus": "event", "sender": HANDLE, "plugindata": []},
    {"janus": "event", "sender": HANDLE, "plugindata": {"data": {"videoroom": "updated", "streams": "many"}}},
    {"janus": "event", "sender": HANDLE, "plugindata": {"data": {"substream": "one", "mid": 4}}},
    {"janus": "event", "sender": HANDLE, "jsep": {"type": "offer", "sdp": 5}},
    {"janus": "event", "sender": HANDLE, "jsep": {"type": "offer", "sdp": ""}},
    {"janus": "error"},
    {"janus": "error", "error": "no"},
    {"janus": "trickle", "sender": HANDLE, "candidate": {"candidate": "candidate:\r\na=evil"}},
    {"janus": "trickle", "sender": HANDLE, "candidate": 5},
    {"janus": "success", "transaction": {"a": 1}},
    {"janus": "success", "transaction": "egress-1", "data": {"id": "x"}},
]


@pytest.mark.parametrize("message", GARBAGE, ids=repr)
def test_nonsense_breaks_nothing(message: Any) -> None:
    server = Server().subscribed()
    server.take(server.room.receive(message, 0))
    assert not any(isinstance(item, Lost | Destroyed | Candidate) for item in server.news)
    server.tick(LIST_EVERY)
    assert server.sent[-1]["body"]["request"] == "listparticipants"


@pytest.mark.parametrize("message", GARBAGE[4:], ids=repr)
def test_nonsense_in_answer_to_a_question_breaks_nothing(message: dict[str, Any]) -> None:
    for steps in range(4):
        server = Server().begin()
        for _ in range(steps):
            server.success(SESSION + steps) if "body" not in server.sent[0] else server.list()
        server.say(**{**message, "transaction": server.sent[0]["transaction"]})
        server.tick(10 * SECOND)


def test_odd_and_endless_lists_are_read_as_far_as_they_make_sense() -> None:
    server = Server().entered().tick(LIST_EVERY)
    odd: list[Any] = [None, {}, {"id": None}, {"id": True}, {"id": ""}, {"id": 5, "display": 9, "talking": "yes"}]
    server.list(*odd, person(5, "twice"), *(person(feed, "x" * 9999) for feed in range(100, 5000)))
    assert isinstance(server.last, Listed)
    assert server.last.participants[0] == Participant(5, "", True, None)
    assert len(server.last.participants) < 260
    assert len(server.last.participants[-1].display) < 300


def test_of_each_new_stream_in_layers_janus_is_asked_once_to_be_patient() -> None:
    server = Server().entered(person(5)).success(SCOUT).answer(attached(stream("0", 5, "0")))
    server.pop()
    layered = stream("0", 5, "0", type="video", codec="vp8", simulcast={"substream": 1})
    plain = stream("1", 6, "0", type="video", codec="vp8")
    server.take(server.room.want({(5, "0"): (1, 2), (6, "0"): (1, 2)}, server.now))
    server.answer(attached(layered, plain), sdp=SDP + HOST)
    server.take(server.room.answered("v=0 answer", server.now))
    server.answer({"videoroom": "event", "started": "ok"})
    assert server.pop()["body"] == {"request": "configure", "streams": [{"mid": "0", "fallback": 600_000}]}
    # Offered anew for somebody else's sake.
    server.event(attached(layered, plain), sdp=SDP)
    server.take(server.room.answered("v=0 answer", server.now))
    server.answer({"videoroom": "event", "started": "ok"})
    assert server.sent == []
