"""Waiting for what another task or thread does; the time it takes decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(happened: Callable[[], bool]) -> None:
    """Return once something has happened; TimeoutError when it does not, however slow the machine."""
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.002)
