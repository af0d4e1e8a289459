"""Offers of Janus made fit for our peer, and held back until there is a candidate to connect to; no I/O."""

from __future__ import annotations

import re

from egress.rooms.janus_messages import Line
from egress.rooms.janus_news import Offered

_MOST_CANDIDATES = 64


def candidate_of(value: object) -> str | None:
    """A trickled candidate as the value of an a= line; None for anything that is none."""
    if isinstance(value, str) and re.fullmatch(r"(a=)?candidate:[ -~]{1,250}", value):
        return value.removeprefix("a=")
    return None


class FirstOffer:
    """With `full_trickle` the first offer names no candidates: it waits here for one, candidates wait for it."""

    def __init__(self) -> None:
        self._held: Offered | None = None
        self._candidates: list[str] = []

    def hold(self, offer: Offered) -> Offered | None:
        """The offer, once it can be answered."""
        self._held = offer
        return self._release()

    def add(self, candidate: str) -> Offered | None:
        """The offer that waited for a candidate, if one did."""
        if len(self._candidates) < _MOST_CANDIDATES:
            self._candidates.append(candidate)
        return self._release()

    def _release(self) -> Offered | None:
        offer = self._held
        if offer is None or not (self._candidates or "\na=candidate:" in offer.sdp):
            return None
        self._held = None
        extra = "".join(f"a={candidate}\r\n" for candidate in self._candidates)
        return Offered(offer.sdp.rstrip("\r\n") + "\r\n" + extra, offer.lines)


def munge(sdp: str, lines: tuple[Line, ...]) -> str:
    """The offer as our peer should read it.

    We answer passive: were we to begin, the DTLS hello would often come before Janus has taken our answer, and is sent
    again only after 1 s. Each section names the stream it carries, so that one used anew is known to be another track.
    """
    streams = {line.mid: f"{line.feed} {line.stream}" for line in lines}
    blocks = re.split(r"(?m)^(?=m=)", sdp.replace("a=setup:actpass", "a=setup:active"))
    for index, block in enumerate(blocks):
        mid = re.search(r"(?m)^a=mid:(\S+)\r?$", block)
        if mid is not None and (name := streams.get(mid[1])):
            plain = re.sub(r"(?m)^a=msid:.*\r?\n", "", block).rstrip("\r\n")
            blocks[index] = f"{plain}\r\na=msid:{re.sub(r'[^!-~ ]', '-', name)}\r\n"
    return "".join(blocks)
