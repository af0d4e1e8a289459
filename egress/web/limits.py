"""How much may be asked: bodies of bounded size, and so many requests a second of each caller."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from egress.model.errors import TooMany
from egress.web import answers

LARGEST_BODY = 1 << 20
"""Bytes a request to the API may have."""

_CALLERS = 10_000
_BURST = 2.0


class Rate:
    """Buckets of tokens, one a caller: `each` requests a second on average, two seconds' worth at once.

    At most 10 000 callers are remembered; the one that asked longest ago is forgotten, and begins anew.
    """

    def __init__(self, each: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = each
        self._most = max(1.0, each * _BURST)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refused = 0

    def take(self, who: str) -> None:
        """Count a request; raises TooMany when this caller has no more. Nothing is counted where `each` is 0."""
        if not self._each:
            return
        now = self._clock()
        left, at = self._buckets.pop(who, (self._most, now))
        left = min(self._most, left + (now - at) * self._each)
        refused = left < 1.0
        self._buckets[who] = (left if refused else left - 1.0, now)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        if refused:
            self.refused += 1
            raise TooMany("too many requests; ask less often", (1.0 - left) / self._each)

    def give_back(self, who: str) -> None:
        """Undo what `take` counted."""
        if (known := self._buckets.get(who)) is not None:
            self._buckets[who] = (min(self._most, known[0] + 1.0), known[1])


def from_where(scope: Scope) -> str:
    """The address a request came from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


class Limits:
    """Refuses bodies that say they are too long, and callers that ask too often, below `paths`.

    Who brings a key is counted by it, everybody else by address.
    """

    def __init__(self, app: ASGIApp, *, rate: Rate, paths: tuple[str, ...]) -> None:
        self.app = app
        self._rate = rate
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or not scope["path"].startswith(self._paths):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 12 or int(length) > LARGEST_BODY):
            error = answers.TooLarge(f"the body is longer than {LARGEST_BODY >> 10} KiB")
            await answers.of_error(error)(scope, receive, send)
            return
        key = headers.get("authorization", "")
        who = hashlib.blake2s(key.encode()).hexdigest() if key else from_where(scope)
        try:
            self._rate.take(who)
        except TooMany as refused:
            await answers.of_error(refused)(scope, receive, send)
            return
        await self.app(scope, receive, send)
