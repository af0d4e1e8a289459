"""Tasks of the service: ended for certain."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN = 2.0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for them; what they raise is not looked at.

    A task may lose its cancellation: asyncio.wait_for, when what it waits for comes at the same moment, gives that
    instead (python/cpython#86296). So those that go on are told again.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN)
