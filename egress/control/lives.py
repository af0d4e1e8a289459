"""What may be watched and published to here: each room of a running job, by the name in its address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from egress.control.following import Follower
from egress.model.places import room_name
from egress.model.secrets import Secret

LINGER = 600.0
"""Seconds a stream that has ended stays where it was: who watches it comes to its end."""

_MOST = 100


@dataclass(frozen=True, slots=True)
class Live:
    """One job as it may be watched and published to.

    `hls` are folders on this machine, `whip` the worker's own endpoint and `token` what it wants publishers to present;
    `over`: it has ended, and only what was made is still there.
    """

    job: str
    room: str
    room_name: str
    hls: tuple[Path, ...]
    whip: str | None
    token: Secret | None = field(default=None)
    over: bool = False


class Lives:
    """Those of one server, by the name of the room, which of several jobs in it the first one has, or by job id."""

    def __init__(self) -> None:
        self._over: OrderedDict[str, tuple[float, Live]] = OrderedDict()

    def find(self, name: str, followers: Iterable[Follower], now: float) -> Live | None:
        """The one of this name; None when there is none. A running one has the name before one that is over."""
        found = [live for live in self.all(followers, now) if name in (live.job, live.room_name)]
        useful = [live for live in found if live.hls or live.whip] or found
        return next((live for live in useful if live.job == name), useful[0] if useful else None)

    def all(self, followers: Iterable[Follower], now: float) -> tuple[Live, ...]:
        """All there are, running ones first, the oldest first."""
        while self._over and now - next(iter(self._over.values()))[0] > LINGER:
            self._over.popitem(last=False)
        running = sorted(followers, key=lambda one: (one.created, one.id))
        over = [live for _, live in reversed(self._over.values())]
        return (*(live_of(one) for one in running), *over)

    def ended(self, follower: Follower, now: float) -> None:
        """A job is over: what it streamed stays for a while."""
        if follower.hls:
            self._over[follower.id] = (now, replace(live_of(follower), whip=None, over=True))
            while len(self._over) > _MOST:
                self._over.popitem(last=False)


def live_of(follower: Follower) -> Live:
    """A job as it may be watched and published to."""
    order = follower.order
    token = Secret(order.whip_token) if order.whip_token else None
    return Live(follower.id, follower.room, room_name(follower.room), follower.hls, follower.whip, token)
