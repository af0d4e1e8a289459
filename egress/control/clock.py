"""Clocks that tell the time and wait for it: the one on the wall, or one that a test moves on."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod

from egress.control.values import Micros, micros

_CALM = 0.05
"""Seconds for which changes are collected that come close together."""


class Clock(ABC):
    """What time it is, and waiting until a time."""

    @abstractmethod
    def now(self) -> Micros:
        """The time."""

    @abstractmethod
    async def until(self, at: Micros, wake: asyncio.Event | None = None) -> None:
        """Return at a time, or soon after `wake` was set."""


class WallClock(Clock):
    """The clock of this machine; waits are short enough that a clock set anew does no harm for long."""

    def now(self) -> Micros:
        """The time."""
        return micros()

    async def until(self, at: Micros, wake: asyncio.Event | None = None) -> None:
        """Return at a time, or soon after `wake` was set."""
        seconds = max(0, at - micros()) / 1e6
        if wake is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()
            await asyncio.sleep(_CALM)
