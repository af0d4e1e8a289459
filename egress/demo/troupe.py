"""The participants' process as its parent sees it: made ready, told where to publish, gone with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

from egress.model.errors import Fault

FROM_STDIN = "-"
"""In place of an address: it comes on standard input once the participants are ready."""

LEAVE_WITHIN = 5.0


class Troupe:
    """Participants that wait for an address. `status` is their exit status once they ended by themselves."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.status: int | None = None
        self._process = process

    async def perform(self, whip: str) -> int:
        """Publish to a WHIP address; returns when they end, which they should not before they are told to."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(whip.encode() + b"\n")
            await self._process.stdin.drain()
        self.status = await self._process.wait()
        return self.status


@contextlib.asynccontextmanager
async def troupe(participants: int, seconds: float, codec: str) -> AsyncIterator[Troupe]:
    """Participants for the length of the context, from when their media is ready; raises Fault when they cannot be."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "egress.demo.participants",
        "--whip",
        FROM_STDIN,
        "--participants",
        str(participants),
        "--seconds",
        str(seconds),
        "--codec",
        codec,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    listening = None
    try:
        line = await process.stdout.readline()
        if not line or json.loads(line).get("type") != "prepared":
            raise Fault(f"the participants could not be made ready (exit status {await process.wait()})")
        listening = asyncio.create_task(_listen(process.stdout), name="participants' events")
        yield Troupe(process)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), LEAVE_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()
        if listening is not None:
            await listening


async def _listen(events: asyncio.StreamReader) -> None:
    """Take what they say, so that they never wait for a reader."""
    while await events.readline():
        pass
