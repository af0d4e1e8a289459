"""Reads done once for all who ask at once."""

from __future__ import annotations

import asyncio

import pytest

from egress.web.api.sharing import Shared


async def test_who_asks_while_one_reads_shares_the_following_read() -> None:
    shared, begun, let = Shared(), 0, asyncio.Event()

    async def read() -> bytes:
        nonlocal begun
        begun += 1
        number = begun
        await let.wait()
        return str(number).encode()

    first = [asyncio.create_task(shared.get("a", read)) for _ in range(3)]
    while not begun:
        await asyncio.sleep(0)
    later = [asyncio.create_task(shared.get("a", read)) for _ in range(3)]
    await asyncio.sleep(0)
    other = asyncio.create_task(shared.get("b", read))
    await asyncio.sleep(0)
    let.set()
    assert set(await asyncio.gather(*first)) == {b"1"}
    assert set(await asyncio.gather(*later)) == {b"3"} and await other == b"2"
    assert not shared._running and not shared._coming


async def test_an_error_is_everyones_and_the_next_read_is_fresh() -> None:
    shared = Shared()

    async def fail() -> bytes:
        raise ZeroDivisionError

    async def read() -> bytes:
        return b"fine"

    found = await asyncio.gather(*(shared.get("a", fail) for _ in range(3)), return_exceptions=True)
    assert {type(one) for one in found} == {ZeroDivisionError}
    assert await shared.get("a", read) == b"fine"


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    shared, let = Shared(), asyncio.Event()

    async def read() -> bytes:
        await let.wait()
        return b"fine"

    gone, stays = (asyncio.create_task(shared.get("a", read)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    let.set()
    assert await stays == b"fine"
