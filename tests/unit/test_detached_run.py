"""Following a worker that outlives us: whoever stops following does so at whatever moment it is told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from egress.control.detached_run import DetachedRun
from egress.control.processes import Process


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_cancelled_at_the_moment_a_line_comes_is_cancelled(tmp_path: Path, turns: int) -> None:
    worker = Process.of(os.getpid())
    assert worker is not None
    run = DetachedRun(tmp_path, worker, 0, None)
    reader = asyncio.StreamReader()
    run._streams = (reader, None)  # type: ignore[assignment]
    following = asyncio.create_task(_follow(run))
    await asyncio.sleep(0.01)
    reader.feed_data(b'{"type": "alive"}\n')
    for _ in range(turns):
        await asyncio.sleep(0)
    following.cancel()
    done, _ = await asyncio.wait({following}, timeout=60)
    lost = not done
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert not lost, "it went on following"


async def _follow(run: DetachedRun) -> None:
    while True:
        await run._line(60)
