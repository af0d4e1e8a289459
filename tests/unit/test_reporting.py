"""A detached worker tells whoever connects what was missed and what comes, once each, and takes commands."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from egress import reporting
from egress.control.detached_run import SOCKET, DetachedRun
from egress.reporting import Reception


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's folder whose path is longer than the name of a socket may be."""
    place = tmp_path / ("deep" * 40)
    place.mkdir()
    return place


@pytest.fixture
async def reception(folder: Path) -> AsyncIterator[Reception]:
    """An open one."""
    made = Reception(folder, 1)
    yield made
    await asyncio.to_thread(made.close)


def said(reception: Reception) -> queue.SimpleQueue[bytes]:
    """What clients say from now on."""
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def follow() -> None:
        for line in reception.commands():
            heard.put(line)

    threading.Thread(target=follow, daemon=True).start()
    return heard


async def follow(run: DetachedRun, until: str) -> list[dict[str, Any]]:
    """Its events up to one of a type."""
    found: list[dict[str, Any]] = []
    events = run.events()
    async with asyncio.timeout(60):
        async for event in events:
            found.append(event)
            if event["type"] == until:
                break
    await events.aclose()  # type: ignore[attr-defined]
    return found


async def adopt(folder: Path, since: int = 0) -> DetachedRun:
    """Whoever comes now."""
    run = await DetachedRun.adopt(folder, since)
    assert run is not None
    return run


async def test_whoever_comes_gets_what_was_missed_and_then_what_comes(folder: Path, reception: Reception) -> None:
    reception.tell({"type": "ready", "whip": "http://here"})
    reception.tell({"type": "alive", "elapsed": 1})
    reception.tell({"type": "room", "event": "joined"})
    run = await adopt(folder, since=1)
    assert (run.pid, run.hello["seq"], run.hello["attempt"]) == (os.getpid(), 2, 1)
    assert run.hello["ready"]["whip"] == "http://here" and run.hello["alive"]["elapsed"] == 1
    reception.tell({"type": "hls", "msn": 4})
    reception.tell({"type": "warning", "message": "last"})
    events = await follow(run, "warning")
    assert [(event["type"], event.get("seq")) for event in events] == [("room", 2), ("hls", None), ("warning", 3)]
    run.leave()
    assert Reception(folder, 2)._log.seq == 3


async def test_commands_come_the_same_way(folder: Path, reception: Reception) -> None:
    heard = said(reception)
    run = await adopt(folder)
    assert run.command('{"command": "pause"}')
    run.ask_to_stop("enough")
    assert await asyncio.to_thread(heard.get, True, 10) == b'{"command": "pause"}'
    assert json.loads(await asyncio.to_thread(heard.get, True, 10)) == {"command": "stop", "reason": "enough"}
    run.leave()
    assert not run.command('{"command": "resume"}')


async def test_the_last_who_comes_is_told_and_the_one_before_ends(folder: Path, reception: Reception) -> None:
    first = await adopt(folder)
    ended = asyncio.create_task(follow(first, "nothing of the kind"))
    second = await adopt(folder)
    assert await asyncio.wait_for(ended, 60) == [] and first.replaced
    reception.tell({"type": "warning", "message": "to the second"})
    assert [event["message"] for event in await follow(second, "warning")] == ["to the second"]
    second.leave()


async def test_a_follower_that_does_not_keep_up_loses_nothing_but_its_connection(
    folder: Path, reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "WAITING", 100)
    run = await adopt(folder)
    big = "x" * 10_000
    for number in range(400):
        reception.tell({"type": "warning", "message": big, "number": number})
    assert reception._client is None, "it was let go"
    monkeypatch.undo()
    reception.tell({"type": "state", "state": "finished"})
    events = await follow(run, "state")
    assert [event["seq"] for event in events] == list(range(1, 402))
    run.leave()


async def test_nobody_else_may_connect_and_nobody_is_found_where_nobody_is(folder: Path, reception: Reception) -> None:
    assert (folder / SOCKET).stat().st_mode & 0o777 == 0o600
    reception.close()
    assert not (folder / SOCKET).exists()
    assert await DetachedRun.adopt(folder) is None
    assert await DetachedRun.adopt(folder / "gone") is None


async def test_what_is_no_greeting_gets_no_answer(folder: Path, reception: Reception) -> None:
    handle = os.open(folder, os.O_PATH)
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{handle}/{SOCKET}")
    finally:
        os.close(handle)
    writer.write(b'{"since": "everything"}\n')
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
