"""The conversation with a Janus VideoRoom: messages in, messages and news out; no I/O, no clock of its own.

Facts of Janus 1.1.2 this rests on: a subscriber handle is in no list and no event of other clients, but is told of
nobody; `listparticipants` needs no join and lists no streams; a join as subscriber lists them at once, and costs
nobody anything when it is never answered (a scout); subscribing to a stream twice gives it twice; an `update` while an
offer is unanswered is only put off (`updating`); one vanished feed fails the whole request (428).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.rooms import janus_messages as messages
from egress.rooms.janus_conversation import Answer, Conversation
from egress.rooms.janus_messages import Feed
from egress.rooms.janus_news import (
    Destroyed,
    Entered,
    Listed,
    Lost,
    Message,
    Output,
    Refused,
    Scouted,
    Send,
    Switched,
)
from egress.rooms.janus_subscription import RETRY, Subscription, Wanted

PLUGIN = "janus.plugin.videoroom"
LIST_EVERY: Nanos = 250 * MILLISECOND
SCOUT_EVERY: Nanos = 2 * SECOND
KEEPALIVE_EVERY: Nanos = 20 * SECOND
PATIENCE: Nanos = 5 * SECOND
"""A server that answers nothing for so long is gone."""

NO_SUCH_ROOM, NO_SUCH_FEED, NO_SUCH_SESSION, NO_SUCH_HANDLE = 426, 428, 458, 459


class VideoRoom:
    """One session with one subscriber handle. Every method returns what is to be sent and what there is to know."""

    def __init__(
        self, room: int | str, *, pin: str | None = None, token: str | None = None, api_secret: str | None = None
    ) -> None:
        self.over = False
        self._room = room
        self._pin = pin
        self._token = token
        self._talk = Conversation(token, api_secret)
        self._out: list[Output] = []
        self._now: Nanos = 0
        self._handle: int | None = None
        self._scout: int | None = None
        self._scouting = False
        self._scout_due: Nanos = 0
        self._list_due: Nanos = 0
        self._alive_due: Nanos = 0
        self._listing = False
        self._entered = False
        self._feeds: tuple[Feed, ...] = ()
        self._subscription = Subscription()

    def begin(self, now: Nanos) -> list[Output]:
        """Open a session, find the room and see whether it lets us in."""
        self._now = now
        self._ask({"janus": "create"}, self._created)
        return self._drain()

    def reclaim(self, now: Nanos) -> list[Output]:
        """Go on with the session over a new connection; Lost when that cannot be."""
        self._now = now
        midway = self._subscription.negotiating or self._scouting or not self._entered
        self._talk.forget()
        self._listing = False
        self._scout_due = 0
        if self._talk.session is None or midway:
            self._lose("the connection to Janus was lost in the middle of a request")
        else:
            self._ask({"janus": "claim"}, self._claimed)
        return self._drain()

    def receive(self, message: object, now: Nanos) -> list[Output]:
        """A message of the server, as read from JSON; nothing in it makes this raise."""
        self._now = now
        found = messages.mapping(message)
        if not self.over and found:
            self._dispatch(found)
            self._sync()
        return self._drain()

    def tick(self, now: Nanos) -> list[Output]:
        """What the time demands: lists, scouts, keepalives, and noticing that nobody answers."""
        self._now = now
        if self.over:
            return self._drain()
        if self._talk.waited(now) > PATIENCE:
            self._lose(f"Janus has answered nothing for {PATIENCE // SECOND} s")
            return self._drain()
        if self._entered:
            if now >= self._list_due and not self._listing:
                self._list()
            if now >= self._scout_due:
                self._send_scout()
            if now >= self._alive_due:
                self._alive_due = now + KEEPALIVE_EVERY
                self._ask({"janus": "keepalive"}, None)
            self._sync()
        return self._drain()

    def want(self, wanted: Wanted, now: Nanos) -> list[Output]:
        """Subscribe to exactly these streams, as soon as may be."""
        self._now = now
        self._subscription.wanted = wanted
        self._sync()
        return self._drain()

    def answered(self, sdp: str, now: Nanos) -> list[Output]:
        """The answer to the newest offer."""
        self._now = now
        if not self.over:
            self._subscription.answered()
            body = {"request": "start"}
            self._ask(self._to_plugin(body, self._handle) | {"jsep": {"type": "answer", "sdp": sdp}}, self._started)
        return self._drain()

    def layer(self, mid: str, substream: int, temporal: int, now: Nanos) -> list[Output]:
        """Have another simulcast layer sent on our section `mid`."""
        self._now = now
        if not self.over and any(line.mid == mid for line in self._subscription.lines):
            stream = {"mid": mid, "substream": substream, "temporal": temporal}
            self._request({"request": "configure", "streams": [stream]}, None)
        return self._drain()

    def leave(self, now: Nanos) -> list[Output]:
        """End the session, and with it all handles; nothing is said afterwards."""
        self._now = now
        if self._talk.session is not None:
            self._ask({"janus": "destroy"}, None)
        self.over = True
        self._talk.session = None
        return self._drain()

    def _drain(self) -> list[Output]:
        out, self._out = self._out, []
        return out

    def _ask(self, message: Message, answer: Answer | None) -> None:
        self._out.append(Send(self._talk.ask(message, answer, self._now)))

    def _to_plugin(self, body: Message, handle: int | None) -> Message:
        return {"janus": "message", "handle_id": handle, "body": body}

    def _request(self, body: Message, answer: Answer | None, handle: int | None = None) -> None:
        self._ask(self._to_plugin(body, handle or self._handle), answer)

    def _join(self, streams: list[Message], answer: Answer, handle: int | None = None) -> None:
        body: Message = {"request": "join", "ptype": "subscriber", "room": self._room, "use_msid": True}
        body |= {"autoupdate": True, "streams": streams}
        if self._pin is not None:
            body["pin"] = self._pin
        if self._token is not None:
            body["token"] = self._token
        self._request(body, answer, handle)

    def _lose(self, reason: str) -> None:
        if not self.over:
            self.over = True
            self._out.append(Lost(reason))

    def _forgotten(self, error: tuple[int, str] | None) -> bool:
        """Whether the error says that the server knows us no more; then this conversation is lost."""
        if error is None or error[0] not in (NO_SUCH_SESSION, NO_SUCH_HANDLE):
            return False
        self._lose(f"Janus has forgotten our session: {error[1]}")
        return True

    def _refuse(self, error: tuple[int, str]) -> None:
        self.over = True
        self._out.append(Refused(*error))

    def _dispatch(self, message: Mapping[str, Any]) -> None:
        kind = message.get("janus")
        if (answer := self._talk.answer_of(message)) is not None:
            answer(message)
            return
        error = messages.error_of(message)
        if self._forgotten(error):
            return
        if kind == "timeout":
            self._lose("Janus has let our session time out")
        elif kind == "event":
            self._event(message)
        elif message.get("sender") == self._handle and self._handle is not None:
            self._about_handle(str(kind), message)

    def _about_handle(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "hangup":
            self._lose(f"Janus has hung up: {messages.text(message.get('reason')) or 'no reason given'}")
        elif kind == "detached":
            self._lose("Janus has detached us")
        elif kind == "trickle":
            self._give(self._subscription.trickled(messages.mapping(message.get("candidate")).get("candidate")))

    def _event(self, message: Mapping[str, Any]) -> None:
        if message.get("sender") != self._handle:
            return
        body = messages.body_of(message)
        if body.get("videoroom") == "destroyed":
            self.over = True
            self._out.append(Destroyed("the room was destroyed"))
        elif "kicked" in body or body.get("reason") == "kicked":
            self.over = True
            self._out.append(Destroyed("we were kicked out of the room"))
        elif messages.offer_of(message) is not None:
            self._give(self._subscription.offered(message))
        elif body.get("videoroom") == "updated" and isinstance(body.get("streams"), list):
            self._subscription.took(message, self._now)
        elif (substream := messages.number(body.get("substream"))) is not None:
            self._out.append(Switched(messages.text(body.get("mid")), substream))

    def _id(self, message: Mapping[str, Any]) -> int | None:
        """The id in a success; None when it is an error, which is told."""
        if (error := messages.error_of(message)) is not None:
            self._refuse(error)
            return None
        found = messages.number(messages.mapping(message.get("data")).get("id"))
        if found is None:
            self._refuse((0, "the server does not answer as Janus does"))
        return found

    def _created(self, message: Mapping[str, Any]) -> None:
        self._talk.session = self._id(message)
        if self._talk.session is not None:
            self._alive_due = self._now + KEEPALIVE_EVERY
            self._ask({"janus": "attach", "plugin": PLUGIN}, self._attached)

    def _attached(self, message: Mapping[str, Any]) -> None:
        self._handle = self._id(message)
        if self._handle is not None:
            self._list()

    def _claimed(self, message: Mapping[str, Any]) -> None:
        if (error := messages.error_of(message)) is not None:
            self._lose(f"Janus does not know our session any more: {error[1]}")
        else:
            self._list()

    def _list(self) -> None:
        self._listing = True
        self._list_due = self._now + LIST_EVERY
        self._request({"request": "listparticipants", "room": self._room}, self._listed)

    def _listed(self, message: Mapping[str, Any]) -> None:
        self._listing = False
        error = messages.error_of(message)
        found = messages.participants(messages.body_of(message)) if error is None else None
        if error is not None and self._entered:
            if error[0] == NO_SUCH_ROOM:
                self.over = True
                self._out.append(Destroyed("the room was destroyed"))
            else:
                self._forgotten(error)
        elif error is not None:
            self._refuse(error)
        elif found is not None:
            feeds = tuple(someone.feed for someone in found if someone.publishes)
            if not set(feeds) <= set(self._feeds):
                self._scout_due = 0
            self._feeds = feeds
            self._out.append(Listed(found))
            if not self._entered:
                self._knock()
            elif self._now >= self._scout_due:
                self._send_scout()
        elif not self._entered:
            self._refuse((0, "the server does not answer as a VideoRoom does"))

    def _knock(self) -> None:
        """See whether the room lets us in: a join for a feed nobody has fails with 428, but only after the pin."""
        nobody: Feed = "egress-nobody" if isinstance(self._room, str) else (1 << 52) + 1
        self._join([{"feed": nobody}], self._knocked)

    def _knocked(self, message: Mapping[str, Any]) -> None:
        error = messages.error_of(message)
        if error is None or error[0] == NO_SUCH_FEED:
            self._entered = True
            self._out.append(Entered())
            self._send_scout()
        else:
            self._refuse(error)

    def _send_scout(self) -> None:
        if self._scouting or not self._feeds:
            return
        self._scouting = True
        self._scout_due = self._now + SCOUT_EVERY
        self._ask({"janus": "attach", "plugin": PLUGIN}, self._scout_attached)

    def _scout_attached(self, message: Mapping[str, Any]) -> None:
        scout = messages.number(messages.mapping(message.get("data")).get("id"))
        if scout is None or messages.error_of(message) is not None:
            self._scouting = False
            return
        self._scout = scout
        feeds = self._feeds
        self._join([{"feed": feed} for feed in feeds], lambda told: self._scouted(told, feeds), scout)

    def _scouted(self, message: Mapping[str, Any], feeds: tuple[Feed, ...]) -> None:
        self._scouting = False
        self._ask({"janus": "detach", "handle_id": self._scout}, None)
        self._scout = None
        if messages.error_of(message) is None:
            self._out.append(Scouted(feeds, messages.streams(messages.body_of(message))))
        else:
            # Someone left between the list and the question: another list will tell who.
            self._scout_due = self._now + RETRY
            self._list_due = min(self._list_due, self._now + RETRY // 2)

    def _sync(self) -> None:
        """Take the next step towards what is wanted."""
        if self.over or not self._entered:
            return
        request = self._subscription.next(self._now)
        if request is not None and request["request"] == "join":
            self._join(request["streams"], self._subscribed)
        elif request is not None:
            self._request(request, self._subscribed)

    def _subscribed(self, message: Mapping[str, Any]) -> None:
        if (error := messages.error_of(message)) is None:
            self._give(self._subscription.took(message, self._now))
            return
        self._subscription.failed(self._now)
        # Most likely somebody has just left: ask anew who is there and what they publish.
        self._list_due, self._scout_due = self._now, 0
        self._forgotten(error)

    def _give(self, output: Output | None) -> None:
        if output is not None:
            self._out.append(output)

    def _started(self, message: Mapping[str, Any]) -> None:
        further = self._subscription.started()
        if (error := messages.error_of(message)) is not None:
            self._lose(f"Janus did not take our answer: {error[1]}")
        elif further is not None:
            self._request(further, None)
