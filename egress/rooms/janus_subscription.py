"""Our one subscription to a VideoRoom, brought to what is wanted step by step; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egress.model.media import MILLISECOND, Nanos
from egress.rooms import janus_messages as messages
from egress.rooms.janus_messages import Feed, Line
from egress.rooms.janus_news import Candidate, Message, Offered
from egress.rooms.janus_offer import FirstOffer, candidate_of, munge

RETRY: Nanos = 200 * MILLISECOND
"""How long after a request that came to nothing the next one is made."""

FALLBACK = 600_000
"""Microseconds without a packet after which Janus sends a lower layer and asks the publisher for a keyframe of each.

Left to itself it waits 250 ms only: on a busy machine, or with a publisher of few pictures a second, layers change all
the time and publishers get dozens of keyframe requests a second (https://github.com/meetecho/janus-gateway/pull/3422).
"""

Wanted = Mapping[tuple[Feed, str], tuple[int, int]]
"""Streams to be subscribed to, by feed and the publisher's mid, and the (substream, temporal layer) to begin with."""


class Subscription:
    """What is subscribed to, and what to ask for next. Janus wants each offer answered before the next request."""

    def __init__(self) -> None:
        self.lines: tuple[Line, ...] = ()
        self.wanted: Wanted = {}
        self.negotiating = False
        self.joined = False
        self._retry_at: Nanos = 0
        self._answered = False
        self._first = FirstOffer()
        self._patient: frozenset[Line] = frozenset()

    def next(self, now: Nanos) -> Message | None:
        """The next request, without what a `join` needs beside its streams; None: nothing to do, or not yet."""
        if self.negotiating or now < self._retry_at:
            return None
        have = {(line.feed, line.stream) for line in self.lines}
        missing = [
            {"feed": feed, "mid": mid, "substream": layer[0], "temporal": layer[1]}
            for (feed, mid), layer in self.wanted.items()
            if (feed, mid) not in have
        ]
        surplus = [{"sub_mid": line.mid} for line in self.lines if (line.feed, line.stream) not in self.wanted]
        request: Message | None = None
        if not self.joined:
            request = {"request": "join", "streams": missing} if missing else None
        elif surplus:
            # First alone: a section that is free again can be used by the next one that comes.
            request = {"request": "update", "unsubscribe": surplus}
        elif missing:
            request = {"request": "update", "subscribe": missing}
        self.negotiating = request is not None
        return request

    def failed(self, now: Nanos) -> None:
        """The request came to nothing."""
        self.negotiating = False
        self._retry_at = now + RETRY

    def took(self, message: Mapping[str, Any], now: Nanos) -> Offered | None:
        """The answer to a request, where it is no error: the offer in it, if it is one and can be answered yet."""
        body = messages.body_of(message)
        if messages.offer_of(message) is not None:
            self.joined = True
            return self.offered(message)
        self.failed(now)
        if body.get("videoroom") != "updating":
            # Nothing of it was known to Janus any more: so neither is it to us. (`updating`: Janus waits for an
            # answer that is on its way, and the offer then comes by itself.)
            kept = tuple(line for line in self.lines if (line.feed, line.stream) in self.wanted)
            self.lines = messages.lines(body) if isinstance(body.get("streams"), list) else kept
        return None

    def offered(self, message: Mapping[str, Any]) -> Offered | None:
        """An offer, asked for or not: as it is to be answered, once it can be."""
        self.negotiating = True
        self.lines = messages.lines(messages.body_of(message))
        offer = Offered(munge(messages.offer_of(message) or "", self.lines), self.lines)
        return offer if self._answered else self._first.hold(offer)

    def answered(self) -> None:
        """The newest offer has been answered."""
        self._answered = True

    def started(self) -> Message | None:
        """Janus has taken the answer; what to ask about new sections then: 1.1.2 takes `fallback` only afterwards."""
        self.negotiating = False
        layered = frozenset(line for line in self.lines if line.simulcast)
        fresh = sorted(line.mid for line in layered - self._patient)
        self._patient = layered
        streams = [{"mid": mid, "fallback": FALLBACK} for mid in fresh]
        return {"request": "configure", "streams": streams} if streams else None

    def trickled(self, value: object) -> Offered | Candidate | None:
        """A candidate of the server, and what it makes possible."""
        found = candidate_of(value)
        if found is None:
            return None
        return Candidate(found) if self._answered else self._first.add(found)
