"""Tasks of the service: begun to last, and ended for certain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

_AGAIN = 2.0

_log = logging.getLogger(__name__)


def lasting(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """A task that does `work` until it is cancelled; a failure of ours is logged, and it begins again."""

    async def again() -> None:
        while True:
            try:
                await work()
            except Exception:
                _log.exception("%s failed, and begins again", name)
            await asyncio.sleep(_AGAIN)

    return asyncio.create_task(again(), name=name)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for them; what they raise is not looked at.

    A task may lose its cancellation: asyncio.wait_for, when what it waits for comes at the same moment, gives that
    instead (python/cpython#86296). So those that go on are told again.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN)
