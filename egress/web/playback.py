"""Playback tokens: who may watch which live stream, where not everybody may."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

Check = Callable[[str, str], float | None]
"""Until when (seconds since the epoch) a token lets its bearer watch the stream of this name; None: it does not."""

MARK = "~"
"""What a token in a path begins with: `/live/NAME/~TOKEN/index.m3u8`. Addresses in playlists are relative, so a player
asks for all else below the same token, without cookies or scripts."""

_KEPT = 10_000
_LONGEST = 4096


class Playback:
    """Admits viewers by their tokens; what `check` found is remembered until the token ends."""

    def __init__(self, check: Check, clock: Callable[[], float] = time.time) -> None:
        self._check = check
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()

    def admits(self, token: str, name: str) -> bool:
        """Whether the bearer of this token may watch this stream now."""
        if not token or len(token) > _LONGEST:
            return False
        until = self._known.get((token, name))
        if until is None:
            until = self._check(token, name)
            if until is None:
                # Not remembered: anybody can make up tokens by the million.
                return False
            self._known[token, name] = until
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        if self._clock() < until:
            return True
        del self._known[token, name]
        return False


def split(rest: str) -> tuple[str, str]:
    """(token, path) of what follows `/live/NAME/`; without a token it is ""."""
    if not rest.startswith(MARK):
        return "", rest
    token, _, path = rest[len(MARK) :].partition("/")
    return token, path
